"""The catalogue and the players are one list; each fault is explained, and can be found."""

import json
import re

import pytest

from midstream.cli.faults import as_json, as_table
from midstream.faults.catalogue import ALIASES, BY_NAME, HTTP_ERRORS, KINDS, Kind
from midstream.faults.play import PLAYERS
from midstream.faults.script import parse_fault, parse_place

# What the project promises to play, word for word from its first issue, and where each is found.
PROMISED = {
    "clean end": "cut-clean",
    "FIN inside a chunk": "cut-fin",
    "RST": "cut-rst",
    "broken chunk": "broken-chunk",
    "gzip cut": "gzip-cut",
    "silence": "silence",
    "pings only": "pings-only",
    "trickle": "trickle",
    "damaged CRC": "bad-crc",
    "half frame": "half-frame",
    "garbage": "garbage",
    "HTML under 200": "html-200",
    "an error without an event line": "error-unnamed",
}


def test_no_fault_is_without_a_player_and_no_player_without_a_fault() -> None:
    assert set(PLAYERS) == set(BY_NAME)


@pytest.mark.parametrize("name", PROMISED.values(), ids=list(PROMISED))
def test_what_was_promised_is_there(name: str) -> None:
    assert name in BY_NAME


def test_no_name_is_used_twice() -> None:
    names = [name for kind in KINDS for name in (kind.name, *kind.aliases)]
    assert len(names) == len(set(names)) and len(ALIASES) == len(names) - len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_fault_is_explained_in_one_line_and_can_be_written_in_a_script(kind: Kind) -> None:
    assert 10 < len(kind.line) < 160 and "\n" not in kind.line
    assert parse_fault(kind.name).kind is kind
    assert all(parse_fault(alias).kind is kind for alias in kind.aliases)
    assert kind.place is None or parse_place(kind.place)


@pytest.mark.parametrize("status", HTTP_ERRORS)
def test_an_http_error_is_found_by_its_status_alone(status: int) -> None:
    assert parse_fault(str(status)).name == f"http-{status}"


def test_the_list_for_people_has_every_fault_with_its_line() -> None:
    rows = dict(re.findall(r"^  (\S+) +(.*)$", as_table(), re.MULTILINE))
    assert set(rows) == set(BY_NAME)
    assert all(rows[kind.name].startswith(kind.line) for kind in KINDS)


def test_the_list_for_programs_has_every_fault_whole() -> None:
    rows = json.loads(json.dumps([as_json(kind) for kind in KINDS]))
    assert [row["name"] for row in rows] == [kind.name for kind in KINDS]
    assert all(set(row["wires"]) <= {"sse", "bedrock"} and row["wires"] for row in rows)
