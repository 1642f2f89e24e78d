"""What the fields of a policy may be, as arguments and as variables."""

import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.recovery import policy_values
from midstream.recovery.policy import Policy, PolicyError

NUMBERS = policy_values._RANGES
CHOICES = policy_values._CHOICES
SWITCHES = policy_values._SWITCHES
NAMES = [field.name for field in fields(Policy)]
# With these, a value that is allowed by itself is not refused because of another.
ROOM = {"attempts": 1, "attempts_total": 10_000}


def made(name: str, value: object) -> object:
    arguments: dict[str, Any] = {**ROOM, name: value}
    return getattr(Policy(**arguments), name)


def read(name: str, text: str) -> object:
    room: dict[str, Any] = {key: value for key, value in ROOM.items() if key != name}
    return getattr(Policy.from_environ({f"MIDSTREAM_{name.upper()}": text}, **room), name)


def test_every_field_is_checked_by_exactly_one_rule() -> None:
    assert sorted([*NUMBERS, *CHOICES, *SWITCHES, "backoff_s"]) == sorted(NAMES)


@pytest.mark.parametrize("name", NUMBERS)
def test_both_ends_of_a_range_are_where_it_says(name: str) -> None:
    allowed = NUMBERS[name]
    ends: list[float] = [allowed.low, allowed.high]
    step = 1 if allowed.whole else 1e-9
    if allowed.whole:
        ends = [int(end) for end in ends]
    if allowed.above_low:
        with pytest.raises(PolicyError):
            made(name, ends[0])
        ends[0] = 1e-9
    assert [made(name, end) for end in ends] == ends
    for outside in (ends[0] - step, ends[1] + max(step, 1)):
        with pytest.raises(PolicyError):
            made(name, outside)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", [True, False, "1", b"1", math.nan, math.inf, -math.inf, -1, (1,), [], {}, 10**400, 1j], ids=repr
)
def test_what_is_no_such_number_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(PolicyError, match=rf"^{name} must be (a|a whole) number .*; it is "):
        made(name, value)


@pytest.mark.parametrize("name", NUMBERS)
def test_none_is_no_limit_only_where_that_is_meant(name: str) -> None:
    if name in ("elapsed_s", "waiting_s"):
        assert made(name, None) is None
        assert read(name, "none") is None
        assert read(name, "None") is None
        return
    with pytest.raises(PolicyError, match=f"^{name} must be"):
        made(name, None)
    with pytest.raises(PolicyError, match=f"^MIDSTREAM_{name.upper()} must be"):
        read(name, "none")


@pytest.mark.parametrize("name", [name for name, allowed in NUMBERS.items() if allowed.whole])
def test_a_count_is_a_whole_number(name: str) -> None:
    with pytest.raises(PolicyError, match="whole number"):
        made(name, 2.0)
    with pytest.raises(PolicyError, match="whole number"):
        read(name, "2.0")
    assert read(name, " 2 ") == 2


@pytest.mark.parametrize("name", [name for name, allowed in NUMBERS.items() if not allowed.whole])
@pytest.mark.parametrize(("text", "value"), [("1", 1.0), ("0.5", 0.5), ("1e-3", 0.001), (" .5 ", 0.5)])
def test_a_number_is_read_in_all_its_spellings(name: str, text: str, value: float) -> None:
    assert read(name, text) == value


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_one_of_two_words(name: str) -> None:
    for word in ("hold", "live"):
        assert made(name, word) == word
        assert read(name, word.upper()) == word
    for value in ("Hold", "", "both", None, True, 1, ["hold"]):
        with pytest.raises(PolicyError, match=rf"^{name} must be 'hold' or 'live'; it is "):
            made(name, value)
    with pytest.raises(PolicyError, match=rf"^MIDSTREAM_{name.upper()} must be 'hold' or 'live'; it is 'both'$"):
        read(name, "both")


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_a_switch_is_on_or_off(name: str) -> None:
    for value in (True, False):
        assert made(name, value) is value
    for text in ("1", "true", "YES"):
        assert read(name, text) is True
    for text in ("0", "False", "no"):
        assert read(name, text) is False
    for wrong in (1, 0, None, "true"):
        with pytest.raises(PolicyError, match=rf"^{name} must be true or false; it is "):
            made(name, wrong)
    with pytest.raises(PolicyError, match=rf"^MIDSTREAM_{name.upper()} must be true or false; it is 'maybe'$"):
        read(name, "maybe")


@pytest.mark.parametrize("value", [(0, 0), (0.5, 8), (1, 1), [1, 2], (0, 1e6)])
def test_a_pair_in_order_is_a_back_off(value: tuple[float, float] | list[float]) -> None:
    low, high = value
    assert made("backoff_s", value) == (float(low), float(high))


@pytest.mark.parametrize(
    "value",
    [
        *((2, 1), (-1, 1), (1,), (1, 2, 3), 1, None, "12", (True, 2), (1, True), (math.nan, 1), (1, math.nan)),
        *((1, math.inf), ("1", "2"), (None, None), {1, 2}, {1: 2, 3: 4}, (0, 10**400), (0, 1e6 + 1)),
    ],
    ids=repr,
)
def test_anything_else_is_no_back_off(value: object) -> None:
    with pytest.raises(PolicyError, match=r"^backoff_s must be a pair of numbers .*; it is "):
        made("backoff_s", value)


def test_a_back_off_is_two_numbers_with_a_comma() -> None:
    assert read("backoff_s", "0.5,8") == (0.5, 8.0)
    assert read("backoff_s", " 1 , 2 ") == (1.0, 2.0)
    for text in ("1", "1,2,3", "1,", ",", "a,b", "2,1", "nan,1", "1;2", "none"):
        with pytest.raises(PolicyError, match=r"^MIDSTREAM_BACKOFF_S must be a pair of numbers .*; it is "):
            read("backoff_s", text)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["x", "1s", "nan", "inf", "-1", "1,5", "0x10", "9" * 5000, "١٠٠٠٠٠٠٠٠٠٠٠٠٠"])
def test_a_bad_variable_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(PolicyError, match=rf"^MIDSTREAM_{name.upper()} must be .*; it is ") as refused:
        read(name, text)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(("attempts", "attempts_total"), [(2, 1), (1000, 999)])
def test_no_part_is_over_its_total(attempts: int, attempts_total: int) -> None:
    words = f"^attempts_total is {attempts_total}, but must be at least attempts, which is {attempts}$"
    with pytest.raises(PolicyError, match=words):
        Policy(attempts=attempts, attempts_total=attempts_total)


def test_a_value_of_any_size_makes_a_message_of_one_line() -> None:
    for value in ("x" * 10_000, "a\nb", 10**5000):
        with pytest.raises(PolicyError) as refused:
            made("tools", value)
        assert len(str(refused.value)) < 200
        assert "\n" not in str(refused.value)


def test_a_policy_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^attempts must be a whole number from 1 to 1,000; it is 0$"):
        Policy(attempts=0)


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.tuples(st.floats())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), ANYTHING | st.tuples(st.floats() | st.integers(), st.floats() | st.integers()))
def test_a_value_is_taken_as_it_is_or_refused(name: str, value: object) -> None:
    try:
        taken = made(name, value)
    except PolicyError as refused:
        assert str(refused).startswith(name) or name == "attempts_total"
    else:
        assert taken == value


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), st.text(max_size=20) | st.floats().map(str) | st.integers().map(str))
def test_a_variable_makes_a_policy_or_a_policy_error(name: str, text: str) -> None:
    try:
        Policy.from_environ({f"MIDSTREAM_{name.upper()}": text})
    except PolicyError as refused:
        assert f"MIDSTREAM_{name.upper()}" in str(refused)
