"""Where settings come from: the order of the sources, for all of them, and a sentence for each mistake."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from midstream.gateway import reference
from midstream.gateway.config import Settings, default_of, kinds
from midstream.gateway.schema import Choice, File, Kind, Names, Number, Place, SettingsError
from midstream.gateway.sources import TABLES_MAX_DEPTH, load, variable
from midstream.recovery.policy import Policy

HOME = {"HOME": "/home/somebody"}
POLICY = {field.name: field.default for field in fields(Policy)}


def in_a_file(folder: Path, text: str) -> dict[str, str]:
    path = folder / "m.toml"
    path.write_text(text, "utf-8")
    return {"config": str(path)}


def texts_of(name: str, kind: Kind) -> list[str]:
    """Three values that a setting may have, none of them its default, as they are typed."""
    match kind:
        case Number():
            low = max(int(kind.low), 1)
            return [str(low + more) for more in (7, 8, 9)]
        case Choice(words):
            return [*words, *words][:3] if len(words) < 4 else list(words[1:4])
        case Place():
            return ["127.0.0.1:7001", "127.0.0.1:7002", "[::1]:7003"]
        case File():
            return ["/a", "/b", "/c"]
        case Names():
            return ["a", "b", "c"]
        case _:
            return ["true", "false", "true"]


def policy_texts(name: str) -> list[str]:
    default = POLICY[name]
    if isinstance(default, bool):
        return ["no", "yes", "no"]
    if isinstance(default, str):
        return ["live", "hold", "live"]
    if isinstance(default, tuple):
        return ["1,2", "2,3", "3,4"]
    if name == "retry_share":
        return ["0.5", "0.6", "0.7"]
    return ["16", "17", "18"]


CASES = [pytest.param(name, texts_of(name, kind), id=name) for name, kind in kinds().items()]
CASES += [pytest.param(name, policy_texts(name), id=f"policy.{name}") for name in POLICY]


def written(name: str, text: str) -> str:
    """What the file says for a value that is typed so."""
    quoted = text if text.replace(".", "").isdigit() or text in ("true", "false") else f'"{text}"'
    if name in POLICY:
        quoted = {"yes": "true", "no": "false"}.get(text, f"[{text}]" if "," in text else quoted)
        return f"[policy]\n{name} = {quoted}"
    return f"{name} = [{quoted}]" if name == "upstream" else f"{name} = {quoted}"


def held(settings: Settings, name: str) -> object:
    return getattr(settings.policy if name in POLICY else settings, name)


@pytest.mark.parametrize(("name", "texts"), CASES)
def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path, name: str, texts: list[str]) -> None:
    flag, var, filed = texts
    # What would otherwise refuse to go together with some of these values.
    more = {"attempts_total": "100"} if name == "attempts" else {}
    more |= {"attempts": "1"} if name == "attempts_total" else {}
    more |= {"body_bytes_max": "1024"} if name == "bodies_bytes_max" else {}
    file = in_a_file(tmp_path, written(name, filed)) | more

    def expected(text: str) -> object:
        return held(load({"config": None, **more, name: text}, HOME), name)

    assert held(load(file | {name: flag}, HOME | {variable(name): var}), name) == expected(flag)
    assert held(load(file, HOME | {variable(name): var}), name) == expected(var)
    assert held(load(file, HOME | {variable(name): "  "}), name) == expected(filed)
    assert expected(flag) != expected(var) and expected(var) != expected(filed)
    default = POLICY[name] if name in POLICY else default_of(name)
    if name != "journal":
        assert held(load(more, HOME), name) == default


def test_the_order_is_shown_for_every_setting_there_is() -> None:
    told = {row.name for row in (*reference.rows(), *reference.policy_rows())}
    assert {case.values[0] for case in CASES} == told - {"upstreams"}


def test_the_variable_names_the_file_as_the_flag_does(tmp_path: Path) -> None:
    path = in_a_file(tmp_path, "ping_s = 3")["config"]
    assert load({}, HOME | {"MIDSTREAM_CONFIG": path}).ping_s == 3.0


def test_a_path_in_a_file_is_meant_from_there_and_one_from_elsewhere_from_here(tmp_path: Path) -> None:
    file = in_a_file(tmp_path, 'tokens = "t.toml"\njournal = "/j"')
    assert load(file, HOME).tokens == tmp_path / "t.toml"
    assert load(file, HOME).journal == Path("/j")
    assert load(file | {"tokens": "t.toml"}, HOME).tokens == Path.cwd() / "t.toml"
    assert load(file, HOME | {"MIDSTREAM_JOURNAL": "j"}).journal == Path.cwd() / "j"


def test_upstreams_come_from_repeated_flags_a_variable_with_commas_or_a_list(tmp_path: Path) -> None:
    assert load({"upstream": ["a", "b"]}, HOME).upstream == ("a", "b")
    assert load({}, HOME | {"MIDSTREAM_UPSTREAM": "a, b"}).upstream == ("a", "b")
    file = in_a_file(tmp_path, 'upstream = ["a", "b"]\n[upstreams.b]\nmodels = {x = "y"}')
    assert load(file, HOME).upstream == ("a", "b") and load(file, HOME).upstreams == {"b": {"models": {"x": "y"}}}


JOURNALS = [
    ({"HOME": "/home/x"}, "/home/x/.local/state/midstream/journal.sqlite3"),
    ({"HOME": "/home/x", "XDG_STATE_HOME": "/state"}, "/state/midstream/journal.sqlite3"),
    ({"HOME": "/home/x", "XDG_STATE_HOME": "not/absolute"}, "/home/x/.local/state/midstream/journal.sqlite3"),
]


@pytest.mark.parametrize(("environ", "path"), JOURNALS)
def test_the_journal_is_where_state_belongs(
    environ: Mapping[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", environ["HOME"])
    assert load({}, environ).journal == Path(path)
    assert load({"journal": "memory"}, environ).journal is None


def test_without_a_home_it_must_be_said_where_the_journal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(SettingsError) as told:
        load({}, {})
    assert str(told.value) == "the home directory is not known; say where the journal is to be: --journal FILE"


def test_a_switch_is_taken_as_typed_and_as_the_command_line_gives_it() -> None:
    for value in (True, "yes"):
        assert load({"otel": value}, HOME | {"MIDSTREAM_OTEL": "no"}).otel
    assert not load({"otel": False}, HOME | {"MIDSTREAM_OTEL": "yes"}).otel


def test_a_limit_of_the_policy_can_be_none_in_the_file(tmp_path: Path) -> None:
    file = in_a_file(tmp_path, '[policy]\nelapsed_s = "none"\nwaiting_s = 3')
    assert load(file, HOME).policy == Policy(waiting_s=3)
    assert load(file, HOME | {"MIDSTREAM_WAITING_S": "none"}).policy == Policy()


WRONG: list[tuple[dict[str, Any], dict[str, str], str | None, str]] = [
    ({"ping_s": "x"}, {}, None, "--ping-s must be a number above 0 to 1,000,000; it is 'x'"),
    ({}, {"MIDSTREAM_PING_S": "-1"}, None, "MIDSTREAM_PING_S must be a number above 0 to 1,000,000; it is -1.0"),
    ({}, {}, "ping_s = '3'", "FILE: ping_s must be a number above 0 to 1,000,000; it is '3'"),
    ({}, {}, "ping = 3", "FILE: there is no setting 'ping'; did you mean ping_s?"),
    ({}, {}, "zzz = 3", "FILE: there is no setting 'zzz'; midstream serve --list has them all"),
    ({}, {}, "sk-ant-api03-abcdefgh = 3", "FILE: there is no setting '<hidden>'; midstream serve --list has them all"),
    ({}, {}, "config = 'x'", "FILE: there is no setting 'config'; midstream serve --list has them all"),
    ({}, {}, "[polic]", "FILE: there is no setting 'polic'; did you mean policy?"),
    ({}, {}, "policy = 3", "FILE: policy must be a table: [policy]"),
    (
        {},
        {},
        "[policy]\nsilence = 3",
        "FILE: policy: there is no limit of the policy 'silence'; did you mean silence_s?",
    ),
    (
        {},
        {},
        "[policy]\nsilence_s = 'sk-ant-api03-abcdefgh'",
        "FILE: policy.silence_s must be a number above 0 to 1,000,000; it is '<hidden>'",
    ),
    ({"silence_s": "x"}, {}, None, "--silence-s must be a number above 0 to 1,000,000; it is 'x'"),
    ({}, {"MIDSTREAM_TOOLS": "x"}, None, "MIDSTREAM_TOOLS must be 'hold' or 'live'; it is 'x'"),
    (
        {"attempts": "9"},
        {},
        "[policy]\nattempts_total = 8",
        "FILE: policy.attempts_total is 8, but must be at least --attempts, which is 9",
    ),
    (
        {},
        {},
        "upstreams = ['a']",
        'FILE: upstreams holds tables, one for each upstream, such as [upstreams."bedrock:us-east-1"]',
    ),
    (
        {},
        {},
        "[upstreams]\nanthropic = 1",
        'FILE: upstreams holds tables, one for each upstream, such as [upstreams."bedrock:us-east-1"]',
    ),
    ({}, {}, f"[upstreams.a.{'.'.join('b' * TABLES_MAX_DEPTH)}]", "FILE: upstreams.'a' is nested too deeply"),
    (
        {},
        {},
        "listen = '0.0.0.0:1'",
        "FILE: listen 0.0.0.0:1 can be reached by others; give --tokens FILE (clients have tokens "
        "of their own, the gateway holds the upstream's credentials) or --pass-credentials (clients bring them)",
    ),
    ({"config": ""}, {}, None, "--config must be the path of a file; it is ''"),
    (
        {"config": "/none.toml"},
        {},
        None,
        "the file of settings /none.toml cannot be read: No such file or directory; give the path of one that can be",
    ),
    (
        {},
        {"MIDSTREAM_CONFIG": "/"},
        None,
        "the file of settings / cannot be read: Is a directory; give the path of one that can be",
    ),
    ({}, {}, "x = \0", "the file of settings FILE is not TOML: Invalid value (at line 1, column 5)"),
    ({}, {}, "x = " + "[" * 100_000, "the file of settings FILE is not TOML: it is nested too deeply"),
]


@pytest.mark.parametrize(("flags", "environ", "file", "sentence"), WRONG, ids=[row[3][:40] for row in WRONG])
def test_a_mistake_is_one_sentence_that_says_where_it_stands(
    tmp_path: Path, flags: dict[str, Any], environ: dict[str, str], file: str | None, sentence: str
) -> None:
    named = {} if file is None else in_a_file(tmp_path, file)
    with pytest.raises(SettingsError) as told:
        load({**named, **flags}, HOME | environ)
    # `--tokens FILE` is meant as it stands.
    wanted = sentence.replace("FILE", named["config"], 1) if named else sentence
    assert str(told.value) == wanted


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError) as told:
        load({"config": str(path)}, HOME)
    assert str(told.value) == f"the file of settings {path} is not UTF-8; TOML has to be"


def test_a_variable_of_somebody_elses_and_a_blank_one_are_left_alone() -> None:
    assert load({}, {**HOME, "MIDSTREAM_OF_ANOTHER": "x", "MIDSTREAM_PING_S": " "}) == load({}, HOME)


def test_the_real_environment_is_not_read() -> None:
    os.environ["MIDSTREAM_PING_S"] = "3"
    try:
        assert load({}, HOME).ping_s == 10.0
    finally:
        del os.environ["MIDSTREAM_PING_S"]
