"""The settings: all of them have a kind, a unit and a reason, and their defaults are allowed."""

import re

import msgspec
import pytest

from midstream.gateway.config import Settings, default_of, kinds
from midstream.gateway.reference import told

TABLES = {"upstreams", "policy"}
UNITS = ("_s", "_bytes", "_bytes_max", "_max", "_failures")


def test_every_setting_that_is_no_table_has_a_kind_in_their_order() -> None:
    assert [*kinds()] == [name for name in Settings.__struct_fields__ if name not in TABLES]


@pytest.mark.parametrize("name", kinds())
def test_a_default_is_what_its_kind_allows(name: str) -> None:
    plain = kinds()[name].plain(default_of(name))
    if plain is not None:
        assert kinds()[name].checked(plain, name) == default_of(name)


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_gives_the_reason_for_its_default(name: str) -> None:
    assert re.search(r"Default|The same `Policy`|the same `Policy`", told(Settings)[name])


def test_every_number_carries_its_unit() -> None:
    numbers = [name for name in kinds() if type(default_of(name)) in (int, float)]
    assert len(numbers) > 15
    assert [name for name in numbers if not name.endswith(UNITS)] == []


def test_settings_take_no_other_field_and_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Settings(ping=1)  # type: ignore[call-arg]
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"ping": 1}, Settings)
    with pytest.raises(AttributeError):
        Settings().ping_s = 1.0  # type: ignore[misc]


def test_settings_do_not_share_their_tables() -> None:
    one, other = Settings(), Settings()
    one.upstreams["a"] = {}
    assert other.upstreams == {}
