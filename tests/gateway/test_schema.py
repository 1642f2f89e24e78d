"""What a setting may be: each kind takes what it says, and refuses the rest in one sentence."""

from pathlib import Path

import pytest

from midstream.gateway.schema import (
    Address,
    Choice,
    File,
    Kind,
    Names,
    Number,
    Place,
    SettingsError,
    Switch,
    count,
    seconds,
    size,
)

TEXTS: list[tuple[Kind, str, object]] = [
    (seconds(), "2", 2.0),
    (seconds(), "1e3", 1000.0),
    (seconds(0, above_low=False), "0", 0.0),
    (size(), "1_000", 1000),
    (count(), "7", 7),
    (Choice(("full", "none")), "FULL", "full"),
    (Switch(), "1", True),
    (Switch(), "on", True),
    (Switch(), "No", False),
    (Place(), "127.0.0.1:0", Address("127.0.0.1", 0)),
    (Place(), "[::1]:65535", Address("::1", 65535)),
    (Place(), "a.host:80", Address("a.host", 80)),
    (Place(off=True), "off", None),
    (Place(off=True), "127.0.0.1:1", Address("127.0.0.1", 1)),
    (File(), "a/b", Path("a/b")),
    (File(), "memory", Path("memory")),
    (File("memory"), "memory", None),
    (File("memory"), "~/x", Path.home() / "x"),
    (Names(), "a", ("a",)),
    (Names(), "a, http://b", ("a", "http://b")),
]


@pytest.mark.parametrize(("kind", "text", "value"), TEXTS)
def test_a_text_is_the_value_that_it_stands_for(kind: Kind, text: str, value: object) -> None:
    held = kind.checked(kind.parsed(text), "it")
    assert held == value and type(held) is type(value)


SECONDS = "a number above 0 to 1,000,000"
PLACE = "HOST:PORT, such as 127.0.0.1:8100 or [::1]:8100"
WRONG: list[tuple[Kind, object, str]] = [
    (seconds(), "two", f"it must be {SECONDS}; it is 'two'"),
    (seconds(), 0, f"it must be {SECONDS}; it is 0"),
    (seconds(), -1.5, f"it must be {SECONDS}; it is -1.5"),
    (seconds(), float("nan"), f"it must be {SECONDS}; it is nan"),
    (seconds(), float("inf"), f"it must be {SECONDS}; it is inf"),
    (seconds(), True, f"it must be {SECONDS}; it is True"),
    (seconds(), [1], f"it must be {SECONDS}; it is [1]"),
    (size(1024), 1023, "it must be a whole number from 1,024 to 1,099,511,627,776; it is 1023"),
    (count(), 1.0, "it must be a whole number from 1 to 1,000,000; it is 1.0"),
    (count(), "x" * 100, f"it must be a whole number from 1 to 1,000,000; it is '{'x' * 76}..."),
    (count(), 10**5000, "it must be a whole number from 1 to 1,000,000; it is a number of thousands of digits"),
    (Choice(("a", "b", "c")), "d", "it must be a, b or c; it is 'd'"),
    (Choice(("a", "b")), 1, "it must be a or b; it is 1"),
    (Switch(), "maybe", "it must be true or false; it is 'maybe'"),
    (Switch(), 1, "it must be true or false; it is 1"),
    (Place(), 8100, f"it must be {PLACE}; it is 8100"),
    (Place(), "8100", f"it must be {PLACE}; it is '8100'"),
    (Place(), ":8100", f"it must be {PLACE}; it is ':8100'"),
    (Place(), "127.0.0.1:", f"it must be {PLACE}; it is '127.0.0.1:'"),
    (Place(), "127.0.0.1:65536", f"it must be {PLACE}; it is '127.0.0.1:65536'"),
    (Place(), "127.0.0.1:٣", f"it must be {PLACE}; it is '127.0.0.1:٣'"),
    (Place(), "::1:8100", f"it must be {PLACE}; it is '::1:8100'"),
    (Place(), "[host]:8100", f"it must be {PLACE}; it is '[host]:8100'"),
    (Place(), "a b:8100", f"it must be {PLACE}; it is 'a b:8100'"),
    (Place(), "off", f"it must be {PLACE}; it is 'off'"),
    (Place(off=True), "none", f"it must be {PLACE}, or off; it is 'none'"),
    (File(), "", "it must be the path of a file; it is ''"),
    (File(), 1, "it must be the path of a file; it is 1"),
    (File("memory"), "a\0b", r"it must be the path of a file, or memory; it is 'a\x00b'"),
    (File(), "~nobody-of-that-name/x", "it starts with ~, but the home directory is not known; give a whole path"),
    (Names(), [], "it must be a list of names, at least one; it is []"),
    (Names(), ["a", ""], "it must be a list of names; it is ['a', '']"),
    (Names(), ["a\nb"], r"it must be a list of names; it is ['a\nb']"),
    (Names(), 3, "it must be a list of names; it is 3"),
    (Names(), ["a", "b", "a"], "it names a twice; each is asked once, in the order given"),
    (Choice(("a", "b")), "sk-ant-api03-abcdefgh", "it must be a or b; it is '<hidden>'"),
]


@pytest.mark.parametrize(("kind", "value", "sentence"), WRONG, ids=[sentence[-40:] for _, _, sentence in WRONG])
def test_what_a_setting_may_not_be_is_one_sentence(kind: Kind, value: object, sentence: str) -> None:
    with pytest.raises(SettingsError) as told:
        kind.checked(value, "it")
    assert str(told.value) == sentence


@pytest.mark.parametrize(("kind", "text", "value"), TEXTS)
def test_what_a_file_would_say_gives_the_same_value_again(kind: Kind, text: str, value: object) -> None:
    assert kind.checked(kind.plain(value), "it") == value


def test_a_file_that_is_not_given_and_has_no_word_for_it_is_left_out() -> None:
    assert File().plain(None) is None


LOOPBACK = [
    ("127.0.0.1", True),
    ("127.8.9.10", True),
    ("::1", True),
    ("localhost", True),
    ("0.0.0.0", False),
    ("::", False),
    ("192.168.0.1", False),
    ("localhost.example.com", False),
]


@pytest.mark.parametrize(("host", "loopback"), LOOPBACK)
def test_only_what_this_machine_alone_can_reach_is_loopback(host: str, loopback: bool) -> None:
    assert Address(host, 1).loopback is loopback


def test_a_number_says_what_it_may_be() -> None:
    assert str(Number(0, 10)) == "a number from 0 to 10"


METAVARS: list[tuple[Kind, str]] = [
    (seconds(), "SECONDS"),
    (size(), "BYTES"),
    (count(), "N"),
    (Choice(("a", "b")), "a|b"),
    (Place(), "HOST:PORT"),
    (File(), "FILE"),
    (Names(), "NAME"),
]


@pytest.mark.parametrize(("kind", "metavar"), METAVARS)
def test_the_help_says_what_a_value_is(kind: Kind, metavar: str) -> None:
    assert kind.metavar == metavar


def test_an_address_is_written_as_it_is_read() -> None:
    assert [str(Address(host, 1)) for host in ("a.host", "::1")] == ["a.host:1", "[::1]:1"]


def test_a_list_of_names_says_so() -> None:
    assert str(Names()) == "a list of names"


def test_a_number_of_thousands_of_digits_is_told_without_them() -> None:
    with pytest.raises(SettingsError) as told:
        count().checked(10**5000, "it")
    assert str(told.value).endswith("; it is a number of thousands of digits")
