"""Plain text: each piece once, the seams at their places, no escape sequence."""

import io

from midstream.demo import plain
from midstream.demo.sides import Cut, Ended, Fact, Grew, Mended, Ticked
from midstream.demo.verdict import Verdict

MESSAGE = {"content": [{"type": "text", "text": "one two"}], "stop_reason": "end_turn"}
FACTS: list[Fact] = [
    Grew("mended", "one"),
    Ticked(),
    Cut("mended", "connection reset"),
    Mended("mended", "connection reset", 0.44),
    Grew("mended", " two"),
    Ended("mended", MESSAGE),
]


def test_the_text_is_printed_as_it_comes_with_the_seam_at_its_place() -> None:
    out = io.StringIO()
    assert plain.show(out, "with midstream", FACTS) == FACTS[-1]
    assert out.getvalue() == (
        "\n== with midstream\n\none[⟲ cut here: connection reset; continued in 0.4 s] two\n"
        "-- returned · stop_reason end_turn · no exception\n"
    )


def test_the_verdict_is_a_table_of_three_lines() -> None:
    out = io.StringIO()
    ended = Ended("mended", MESSAGE)
    plain.verdict(out, Verdict(MESSAGE, Ended("bare", MESSAGE), ended))
    lines = out.getvalue().splitlines()
    assert [line[:17].strip() for line in lines[1:]] == ["the whole reply", "the SDK alone", "with midstream"]
