"""Lines and blocks of one file, in any order."""

import io

from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.recording.text import LINE_BYTES_MAX, Text, blocks_of


@given(st.lists(st.binary(max_size=40)), st.lists(st.sampled_from(["line", "block", "peek", "back"])))
def test_every_byte_comes_out_once_and_in_order(pieces: list[bytes], asked: list[str]) -> None:
    text, out = Text(iter([piece for piece in pieces if piece])), b""
    for what in asked:
        if what == "peek":
            assert (b"".join(pieces)[len(out) :]).startswith(text.peek(5))
        elif what == "back":
            text.give_back(text.line())
        else:
            out += text.line() if what == "line" else text.block()
    while block := text.block():
        out += block
    assert out == b"".join(pieces)


def test_a_line_ends_with_its_end_and_the_last_one_as_it_is() -> None:
    text = Text(iter([b"a\nb", b"\r\n\nlast"]))
    assert [text.line() for _ in range(5)] == [b"a\n", b"b\r\n", b"\n", b"last", b""]


def test_a_line_without_an_end_comes_in_pieces() -> None:
    text = Text(iter([b"x" * LINE_BYTES_MAX, b"x" * 10]))
    assert len(text.line()) == LINE_BYTES_MAX and text.line() == b"x" * 10


def test_a_file_is_read_as_it_comes() -> None:
    assert b"".join(blocks_of(io.BytesIO(b"x" * 200_000))) == b"x" * 200_000
