"""An answer is told as it came."""

from midstream.doctor.probe.heard import CUT_ENDS, SILENT_ENDS, Heard


def test_the_values_of_a_header_are_joined_and_the_pieces_too() -> None:
    heard = Heard("h2", headers=[("via", "a"), ("x", "1"), ("via", "b")], pieces=[(0.1, b"a"), (0.2, b"b")])
    assert heard.header("via") == "a, b" and heard.header("server") == "" and heard.body == b"ab"


def test_no_end_both_looks_whole_and_does_not() -> None:
    assert not SILENT_ENDS & CUT_ENDS and "waited" not in SILENT_ENDS | CUT_ENDS
