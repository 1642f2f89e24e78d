"""Durations and sizes in the spellings of the proxies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint.units import said_s, seconds, size_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60", 60),
        ("60s", 60),
        ("1m30s", 90),
        ("1m 30s", 90),
        ("500ms", 0.5),
        ("0.250s", 0.25),
        ("1h", 3600),
        ("2d", 172_800),
        ("1500us", 0.0015),
        ("0", 0),
        ("", None),
        ("s", None),
        ("1x", None),
        ("-1s", None),
        ("$limit", None),
        ("9" * 5000, None),
    ],
)
def test_a_duration(text: str, value: float | None) -> None:
    assert seconds(text) == (None if value is None else pytest.approx(value))


def test_a_number_alone_has_the_unit_of_its_proxy() -> None:
    assert seconds("5000", bare="ms") == 5


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("64m", 64 << 20), ("1.5k", 1536), ("2G", 2 << 30), ("32MB", 32 << 20), ("1MiB", 1 << 20), ("x", None)],
)
def test_a_size(text: str, value: int | None) -> None:
    assert size_bytes(text) == value


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_none(text: str) -> None:
    seconds(text)
    size_bytes(text)


def test_seconds_are_written_without_needless_digits() -> None:
    assert (said_s(60.0), said_s(0.5)) == ("60 s", "0.5 s")
