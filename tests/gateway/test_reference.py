"""The settings told: every one of them, and so that what is printed can be read again."""

import json
import tomllib
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from midstream.gateway import reference
from midstream.gateway.config import Settings
from midstream.gateway.hiding import HIDDEN
from midstream.gateway.schema import Address
from midstream.gateway.sources import load
from midstream.recovery.policy import Policy

NAMES = {*Settings.__struct_fields__} - {"policy"}
LIMITS = {field.name for field in fields(Policy)}


def test_every_setting_is_told_with_its_flag_its_variable_its_default_and_its_meaning() -> None:
    rows = reference.rows()
    assert {row.name for row in rows} == NAMES
    assert {row.name for row in reference.policy_rows()} == LIMITS
    for row in (*rows, *reference.policy_rows()):
        assert row.default and row.meaning.endswith((".", ")", "``"))
        assert (row.flag is None) == (row.variable is None) == (row.name == "upstreams")
    by_name = {row.name: row for row in rows}
    assert by_name["ping_s"].flag == "--ping-s" and by_name["ping_s"].variable == "MIDSTREAM_PING_S"
    assert by_name["listen"].default == '"127.0.0.1:8100"' and by_name["tokens"].default == "none"
    assert by_name["journal_sync"].allowed == "full, relaxed, none"
    assert by_name["ping_s"].allowed == "a number above 0 to 1,000,000"


def test_the_page_and_the_terminal_are_told_of_all_of_them() -> None:
    for name in NAMES | LIMITS:
        assert f"| `{name}` |" in reference.markdown()
        assert f"\n  {name} = " in reference.text()


def test_a_table_of_the_page_has_four_columns_in_every_line() -> None:
    for line in reference.markdown().splitlines():
        assert line == "" or line.replace(r"\|", "").count("|") == 5


SETTINGS = [
    Settings(journal=Path("/j")),
    Settings(listen=Address("::1", 1), control_listen=None, tokens=Path("/t"), otel=True, log="json"),
    Settings(
        upstream=("anthropic", "bedrock:eu"),
        upstreams={"bedrock:eu": {"models": {"a.b": 'quo"ted\n\x7f ü 😀'}, "geo": "eu"}, "anthropic": {}},
        policy=Policy(elapsed_s=3, tools="live", continue_text=False, backoff_s=(1, 2)),
    ),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_what_is_printed_gives_the_same_settings_when_it_is_read(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "m.toml"
    path.write_text(reference.toml(reference.effective(settings)), "utf-8")
    again = load({"config": str(path)}, {"HOME": "/nowhere"})
    assert again == settings
    assert json.loads(json.dumps(reference.effective(settings))) is not None


def test_what_is_printed_holds_no_credential() -> None:
    tables = {"anthropic": {"api_key": "secret-1", "key_env": "NAME", "deep": {"token": "secret-2"}}}
    table = reference.effective(Settings(upstreams=tables))
    assert table["upstreams"]["anthropic"] == {"api_key": HIDDEN, "key_env": "NAME", "deep": {"token": HIDDEN}}
    assert "secret" not in reference.toml(table)


TABLES: list[dict[str, Any]] = [
    {},
    {"a": 1, "b": {"c": [1, "x"], "d e": {"f": True}}},
    {"only": {"tables": {"x": 1.5}}},
    {"empty": {"one": {}}},
    {"when": date(2030, 1, 31)},
]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_written_so_that_toml_reads_it(table: dict[str, Any]) -> None:
    assert tomllib.loads(reference.toml(table)) == table


def test_what_is_not_set_is_a_comment() -> None:
    assert reference.toml({"a": None}) == "# a is not set\n"
