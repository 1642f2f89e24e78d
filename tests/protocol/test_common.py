"""Common deltas are told by their beginning and their end, and by nothing that could be something else."""

import json

import pytest

from midstream.protocol.common import Common, payload
from midstream.protocol.dialects import Anthropic
from midstream.protocol.events import BlockGrew, Unreadable

LINE = b"event: content_block_delta\ndata: "


def delta(text: str, padding: str = "", index: int = 0) -> bytes:
    fields = {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
    return LINE + json.dumps(fields, separators=(",", ":"))[:-1].encode() + padding.encode() + b"}\n\n"


def begin() -> bytes:
    """How a delta of the first block begins, up to the first quote of its payload."""
    return delta("").partition(b'""')[0] + b'"'


def test_a_delta_teaches_how_the_next_one_begins() -> None:
    common, first = Common(LINE), delta("x")
    (event,) = Anthropic().receive(first)
    common = common.after(event, first)
    assert (common.begin, common.skip, common.index, common.kind) == (begin(), len(begin()) - 1, 0, "text_delta")


@pytest.mark.parametrize("text", ["", "plain", 'a "quoted" \\ word', "line\nend", "日本語 🎈", '"}}\n\n', "\u2028"])
@pytest.mark.parametrize("padding", ["", " ", " " * 40])
def test_the_payload_of_a_common_delta_is_its_text(text: str, padding: str) -> None:
    assert payload(delta(text, padding), len(begin()) - 1) == text


@pytest.mark.parametrize(
    "chunk",
    [
        delta("x")[:-1],
        delta("x") + b"\n",
        delta("x") + delta("y"),
        delta("x").replace(b"\n\n", b"\r\n\r\n"),
        delta("x").replace(b'"x"', b'"x","more":"y"'),
        delta("x").replace(b'"x"', b'"\xff"'),
        delta("x").replace(b'"x"', b'"\\q"'),
        delta("x").replace(b'"x"', b"1"),
        begin(),
        b"",
    ],
)
def test_what_is_more_or_less_than_one_common_delta_has_no_payload(chunk: bytes) -> None:
    assert payload(chunk, len(begin()) - 1) is None


def test_a_dialect_says_how_the_usual_chunk_begins_only_between_two_blocks() -> None:
    dialect, usual = Anthropic(), (begin(), 0, "text_delta")
    chunks = [b"", delta("x"), delta("y")[:-1], b"\n"]
    assert [(len(dialect.receive(chunk)), dialect.usual) for chunk in chunks] == [
        (0, None),
        (1, usual),
        (0, None),
        (1, usual),
    ]


@pytest.mark.parametrize("blank", [b"\n", b"\r", b"\r\n", b"\t", b" "])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_line_end_before_the_payload_ends_the_line_of_data_there(blank: bytes, chunked: bool) -> None:
    """WHATWG HTML §9.2.6: JSON allows it there, an event stream does not."""
    odd = delta("x").replace(b'"x"', blank + b'"x"')
    behind_another, alone = Anthropic(), Anthropic()
    if chunked:
        behind_another.receive(delta("w"))
        seen = behind_another.receive(odd)
    else:
        seen = behind_another.receive(delta("w") + odd)[1:]
    assert seen == alone.receive(odd) and type(seen[0]) is (Unreadable if blank.strip(b" \t") else BlockGrew)
