"""Each finding has its words, and is filled in without a brace left over."""

import re

import pytest

from midstream.doctor.probe.words import finding, words

FILLED = {"protocol": "h2", "seconds": 15.0, "megabytes": 1.1, "said": "HTTP 502"}


@pytest.mark.parametrize("name", sorted(words()))
def test_a_finding_is_filled_in(name: str) -> None:
    found = finding(name, "seen", "", **FILLED)
    assert found.id == name and found.evidence == ("seen",) and "{" not in found.title
    assert all((text and text[0].isupper()) or text[0] in "`n" for text in (found.means, found.why, found.fix))
    assert re.fullmatch(r"PROBE-[A-Z]+", name)


def test_a_severity_may_be_raised() -> None:
    assert finding("PROBE-IDLE", seconds=3.0).severity == "note"
    assert finding("PROBE-IDLE", seconds=3.0, severity="warning").severity == "warning"
