"""Any bytes, any events, any request: nothing but documented results (`fuzz/`, drawn; `make fuzz` goes on for longer).

Rule: counts and seeds, never seconds; an input that once brought out something is in fuzz/found, and stays there.
"""

import sys
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fuzz.__main__ as runner
from fuzz import fuzz_decoders, fuzz_dialects, fuzz_engine, garbage

FOUND = sorted(runner.FOUND.iterdir())
DRAWN = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(categories=None), max_size=20)
    | st.sampled_from(garbage.ON_THE_WIRE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(garbage.NAMES), inner, max_size=6),
    max_leaves=12,
)
TYPES = st.sampled_from(sorted({*fuzz_dialects.READABLE, "ping", "novel"}))
EVENTS = st.lists(st.dictionaries(st.sampled_from(garbage.NAMES), VALUES, max_size=6), max_size=6)


def typed(events: list[Any], types: list[str]) -> list[Any]:
    return [{**event, "type": type} for event, type in zip(events, types, strict=False)]


def a_case(body: bytes, **changes: Any) -> Any:
    case = fuzz_engine.make(Random(1)) | {"request": {"model": "mine", "max_tokens": 9, "messages": []}, "policy": {}}
    attempt = [[0, "opened", 200, {}, None], [0, "received", body.decode("latin-1")], [0, "ended"]]
    return case | {"attempts": [attempt]} | changes


@DRAWN
@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_documented_errors(data: bytes) -> None:
    fuzz_decoders.check_any(data)


@DRAWN
@given(st.binary(max_size=300))
def test_any_bytes_are_events_or_unreadable(data: bytes) -> None:
    fuzz_dialects.check(data)


@DRAWN
@given(EVENTS, st.lists(TYPES, min_size=6, max_size=6), st.sampled_from(["sse", "eventstream"]), st.randoms())
def test_any_values_in_known_events_are_events_or_unreadable(
    events: list[Any], types: list[str], wire: str, draw: Random
) -> None:
    fuzz_dialects.check(garbage.encoded(typed(events, types), wire, draw))


@DRAWN
@given(st.binary(max_size=300))
def test_any_bytes_into_the_engine_end_in_a_message_or_a_failure(data: bytes) -> None:
    fuzz_engine.check(fuzz_engine.from_bytes(data))


@DRAWN
@given(EVENTS, st.lists(TYPES, min_size=6, max_size=6), st.sampled_from(["sse", "eventstream"]), st.randoms())
def test_any_values_in_known_events_end_in_a_message_or_a_failure(
    events: list[Any], types: list[str], wire: str, draw: Random
) -> None:
    reply = garbage.reply(draw)
    at = draw.randint(0, len(reply))
    body = garbage.encoded(reply[:at] + typed(events, types) + reply[at:], wire, draw)
    fuzz_engine.check(a_case(body))


@DRAWN
@given(
    st.dictionaries(st.sampled_from([*fuzz_engine.REQUEST_PARTS, "model", "messages"]), VALUES, max_size=6),
    st.randoms(),
)
def test_a_request_of_any_values_ends_in_a_message_or_a_failure(request: dict[str, Any], draw: Random) -> None:
    body = garbage.encoded(garbage.reply(draw)[: draw.randint(1, 8)], "sse", draw)
    fuzz_engine.check(a_case(body, request=request))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("target", "inputs"), [("decoders", 300), ("dialects", 200), ("engine", 200)])
def test_drawn_inputs_bring_out_nothing(target: str, inputs: int, seed: int) -> None:
    count, crash = runner.run(target, 1e9, seed, inputs=inputs)
    assert crash is None, crash.trace
    assert count == inputs


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_was_found_once_is_found_no_more(path: Path) -> None:
    crash = runner.replay(path)
    assert crash is None, crash.trace


def test_there_are_inputs_that_were_found() -> None:
    assert FOUND


def test_a_run_is_repeated_by_its_seed() -> None:
    for target in runner.TARGETS.values():
        assert [target.make(Random(f"5 {n}")) for n in range(20)] == [target.make(Random(f"5 {n}")) for n in range(20)]


def test_a_case_is_the_same_from_its_file() -> None:
    for target in runner.TARGETS.values():
        case = target.make(Random(3))
        assert target.load_case(target.dump_case(case)) == case


# The check itself.


def no_letter_x(case: bytes) -> None:
    if b"x" in case:
        raise ValueError("an x")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    target = SimpleNamespace(**{name: getattr(runner.DECODERS, name) for name in ("dump_case", "load_case", "shrink")})
    target.check, target.make = no_letter_x, lambda draw: b"".join(draw.choices([b"a", b"bc", b"x"], k=50))
    monkeypatch.setitem(runner.TARGETS, "decoders", target)
    monkeypatch.setattr(runner, "NEW", tmp_path)
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fuzz", *arguments])
    return runner.main()


def test_a_crash_ends_the_run_with_its_input_as_a_small_file(
    failing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--target", "decoders", "--seconds", "60", "--seed", "1") == 1
    (path,) = failing.iterdir()
    assert path.read_bytes() == b"x"
    said = capsys.readouterr().err
    assert f"python -m fuzz {path}" in said
    assert call(monkeypatch, str(path)) == 1
    assert "1 of them crash" in capsys.readouterr().out


def test_an_input_that_is_well_is_said_to_be(
    failing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = failing / "decoders-good.bin"
    path.write_bytes(b"abc")
    assert call(monkeypatch, str(path)) == 0
    assert "0 of them crash" in capsys.readouterr().out


def break_the_engine(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    receive = fuzz_engine.Engine.receive

    def broken(self: Any, input: Any, now: float) -> Any:
        step = receive(self, input, now)
        match how:
            case "raises":
                raise KeyError("x")
            case "loses bytes" if step.events:
                step.events[-1].raw = b""
            case "never ends":
                return fuzz_engine.Step([], fuzz_engine.Read(now + 1))
            case "ends at once":
                return fuzz_engine.Step(step.events, fuzz_engine.Done(None))
        return step

    monkeypatch.setattr(fuzz_engine.Engine, "receive", broken)


@pytest.mark.parametrize("how", ["raises", "loses bytes", "never ends", "ends at once"])
def test_an_engine_that_is_broken_is_found_out(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_the_engine(monkeypatch, how)
    _, crash = runner.run("engine", 1e9, 1, inputs=50)
    assert crash is not None
