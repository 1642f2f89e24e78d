"""Scripts: what is written is what is played, on the attempt that was meant."""

from pathlib import Path

import pytest

from midstream.faults.script import OK, SCRIPT_CHARS_MAX, Fault, Place, Script, ScriptError, parse_fault, parse_place

HALF = Place("fraction", 0.5)

# A script, and the names of what its first six attempts play.
SCRIPTS = {
    "": "ok ok ok ok ok ok",
    "ok": "ok ok ok ok ok ok",
    "cut-rst@byte=900": "cut-rst ok ok ok ok ok",
    "once cut-rst": "cut-rst ok ok ok ok ok",
    "cut-rst once": "cut-rst ok ok ok ok ok",
    "cut-clean@event=12; then overloaded; then ok": "cut-clean overloaded_error ok ok ok ok",
    "cut-clean; and then 429; silence": "cut-clean http-429 silence ok ok ok",
    "always silence": "silence silence silence silence silence silence",
    "silence always": "silence silence silence silence silence silence",
    "cut-fin; always silence": "cut-fin silence silence silence silence silence",
    "503 x3": "http-503 http-503 http-503 ok ok ok",
    "503 2 times; cut-rst": "http-503 http-503 cut-rst ok ok ok",
    "on 2: 529": "ok http-529 ok ok ok ok",
    "on attempt 3: 529 retry-after=1": "ok ok http-529 ok ok ok",
    "on 3+: 529": "ok ok http-529 http-529 http-529 http-529",
    "on 2: 529; cut-rst": "ok http-529 cut-rst ok ok ok",
    "cut-rst\n# a comment\noverloaded  # and another\n": "cut-rst overloaded_error ok ok ok ok",
    "ok; ok; cut-rst": "ok ok cut-rst ok ok ok",
}


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_script_plays_the_fault_that_each_attempt_was_given(text: str) -> None:
    script = Script.parse(text)
    assert [script.fault(attempt).name for attempt in range(1, 7)] == SCRIPTS[text].split()


@pytest.mark.parametrize("text", [*SCRIPTS, "model=exact; reply=tools; pace=0.5; rules=off; on 4: cut-rst@50%-3"])
def test_a_script_that_is_written_out_reads_back_as_the_same(text: str) -> None:
    script = Script.parse(text)
    assert Script.parse(str(script)) == script


def test_options_are_not_attempts() -> None:
    script = Script.parse("model=exact; cut-rst; reply=tools")
    assert dict(script.options) == {"model": "exact", "reply": "tools"} and script.fault(1).name == "cut-rst"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("byte=0", Place("byte", 0)),
        ("event=12", Place("event", 12)),
        ("event=12+1", Place("event", 12, 1)),
        ("event=12-1", Place("event", 12, -1)),
        ("fraction=0.25", Place("fraction", 0.25)),
        ("25%", Place("fraction", 0.25)),
        ("25%-7", Place("fraction", 0.25, -7)),
    ],
)
def test_a_place_is_a_byte_an_event_or_a_share(text: str, place: Place) -> None:
    assert parse_place(text) == place == parse_place(str(place))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cut-rst", Fault("cut-rst", HALF)),
        ("cut_rst@byte=3", Fault("cut-rst", Place("byte", 3))),
        ("overloaded", Fault("overloaded_error", HALF)),
        ("429 retry-after=3", Fault("http-429", None, {"retry-after": "3"})),
        ("429,retry-after", Fault("http-429", None, {"retry-after": "1"})),
        ("http-529 x-should-retry", Fault("http-529", None, {"x-should-retry": "true"})),
        ("throttling", Fault("throttlingException", HALF)),
    ],
)
def test_a_fault_is_a_name_a_place_and_parameters(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cut-rsst", "there is no fault 'cut-rsst'; did you mean cut-rst"),
        ("overlaoded", "did you mean overloaded"),
        ("qqqq", "midstream faults --list"),
        ("cut-rst@byte", "@byte is no place"),
        ("cut-rst@12", "@12 is no place"),
        ("cut-rst@byte=1.5", "whole"),
        ("cut-rst@fraction=2", "between 0 and 1"),
        ("html-200@byte=3", "no place to choose"),
        ("429 retry=1", "no parameter 'retry'"),
        ("trickle every", "needs a value"),
        ("trickle every=soon", "number of at least 0"),
        ("trickle every=nan", "number of at least 0"),
        ("429 body=xml", "one of json, html, empty"),
        ("speed=3", "no option"),
        ("pace=fast", "pace is a number"),
        ("on 0: cut-rst", "counted from 1"),
        ("cut-rst x0", "1 to 1,000"),
        ("cut-rst x9999", "1 to 1,000"),
        ("; ".join(["cut-rst x900"] * 2), "name 1,000 attempts"),
        ("x" * (SCRIPT_CHARS_MAX + 1), "characters"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script.parse(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_script_file_is_lines_or_toml(tmp_path: Path) -> None:
    lines, toml = tmp_path / "script.txt", tmp_path / "script.toml"
    lines.write_text("model=exact\ncut-rst@byte=900\nthen overloaded\nalways 503  # for good\n")
    toml.write_text('model = "exact"\nattempts = ["cut-rst@byte=900", "overloaded"]\nalways = "503"\n')
    assert (
        Script.load(lines) == Script.load(toml) == Script.parse("model=exact; cut-rst@byte=900; overloaded; always 503")
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [("attempts = [", "is not TOML"), ("tries = []", "unknown key 'tries'"), ('attempts = "ok"', "not a list")],
)
def test_a_toml_file_that_makes_no_sense_is_told_so(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "script.toml"
    path.write_text(text)
    with pytest.raises(ScriptError, match=words):
        Script.load(path)


def test_a_script_file_that_cannot_be_read_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="cannot be read"):
        Script.load(tmp_path / "none")


def test_scripts_can_be_made_of_faults() -> None:
    fault = parse_fault("cut-rst")
    assert Script.always(fault).fault(9) == fault
    assert (Script.once(fault, 2).fault(1), Script.once(fault, 2).fault(2), Script.once(fault, 2).fault(3)) == (
        OK,
        fault,
        OK,
    )
