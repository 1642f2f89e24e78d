"""The tables of the upstreams."""

import pytest

from midstream.gateway.http.origin import Origin
from midstream.gateway.upstreams.options import Base, Options
from midstream.gateway.upstreams.port import UpstreamError

KNOWN = frozenset(Options.__struct_fields__)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"models": {"a": 1}}, "the table of the upstream x is wrong: Expected `str`, got `int` - at `$.models[...]`"),
        ({"base_url": 7}, "the table of the upstream x is wrong: Expected `str | null`, got `int` - at `$.base_url`"),
        ({"geo": "moon"}, "the upstream x has an unknown geo; give one of none, us, eu"),
    ],
)
def test_a_wrong_table_is_told_in_one_sentence(table: dict[str, object], sentence: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        Options.of("x", table, KNOWN)
    assert sentence in str(raised.value)


def test_a_right_table_is_taken_and_so_is_one_that_is_checked_already() -> None:
    options = Options.of("x", {"models": {"a": "b"}, "geo": "none"}, KNOWN)
    assert options == Options(models={"a": "b"}, geo="none")
    assert Options.of("x", options, frozenset()) is options
    assert Options.of("x", None, frozenset()) == Options()


def test_a_variable_that_is_named_must_be_set() -> None:
    assert Options(key_env="MINE").own_key("x", {"MINE": " k\n", "USUAL": "u"}, "USUAL") == "k"
    assert Options().own_key("x", {"SECOND": "u"}, "FIRST", "SECOND") == "u"
    assert Options(key_env="").own_key("x", {"USUAL": "u"}, "USUAL") is None
    with pytest.raises(UpstreamError, match="key_env of the upstream x names a variable that is not set"):
        Options(key_env="MINE").own_key("x", {"USUAL": "u"}, "USUAL")
    for wrong in ("a\nb", "schlüssel"):
        with pytest.raises(UpstreamError, match="USUAL has a character that no key has") as raised:
            Options().own_key("x", {"USUAL": wrong}, "USUAL")
        assert wrong not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://Host.example", Origin("https", "host.example", 443), ""),
        ("http://host:0080/", Origin("http", "host", 80), ""),
        ("https://h/a/b%20c/", Origin("https", "h", 443), "/a/b%20c"),
        ("http://[::1]:9000/x", Origin("http", "::1", 9000), "/x"),
    ],
)
def test_a_base_is_an_origin_and_a_path(url: str, origin: Origin, path: str) -> None:
    assert Base.of(url, "x") == Base(origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "ftp://h",
        "https://",
        "https:///x",
        "https://h h",
        "https://h/a b",
        "https://h/é",
        "http://h:x",
        "https://h/x\r\ny",
    ],
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    if "\r\n" in url:
        # urlsplit drops them, as browsers do; what is left is a URL.
        assert Base.of(url, "x").path == "/xy"
        return
    with pytest.raises(UpstreamError, match=r"^x "):
        Base.of(url, "x")


def test_what_an_upstream_does_not_know_is_refused_by_its_name() -> None:
    with pytest.raises(
        UpstreamError, match="the table of the upstream x has geo, which it does not know; it knows a, b"
    ):
        Options.of("x", {"geo": "us"}, frozenset("ba"))
    assert Options().own_key("x", {}, "USUAL") is None


@pytest.mark.parametrize("rest", ["https://u:p@h", "https://h/v1", "https://h/?x", "https://h/#x", "https://h/a/../b"])
def test_what_is_more_than_a_base_is_refused(rest: str) -> None:
    with pytest.raises(UpstreamError, match=r"^x (?!.*u:p)"):
        Base.of(rest, "x")
