"""Header lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.gateway.http.heads import first, head_bytes, listed, without_hop_by_hop


def test_the_first_of_several_values_is_found() -> None:
    headers = [(b"a", b"1"), (b"b", b"2"), (b"b", b"3")]
    assert first(headers, b"b") == b"2"
    assert first(headers, b"c") is None


def test_what_is_meant_for_one_hop_does_not_go_further() -> None:
    ours = [b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"host"]
    ours += [b"content-length", b"expect", b"proxy-authorization", b"proxy-connection", b"proxy-anything"]
    theirs = [(b"x-api-key", b"k"), (b"anthropic-beta", b"a"), (b"anthropic-beta", b"b"), (b"proxied", b"c")]
    assert without_hop_by_hop([*((name, b"x") for name in ours), *theirs]) == theirs


def test_headers_that_a_connection_header_names_do_not_go_further() -> None:
    headers = [(b"connection", b"close, X-One ,\tx-two"), (b"x-one", b"1"), (b"connection", b"x-three")]
    headers += [(b"x-two", b"2"), (b"x-three", b"3"), (b"x-four", b"4")]
    assert without_hop_by_hop(headers) == [(b"x-four", b"4")]


def test_a_list_is_read_in_lower_case() -> None:
    assert listed(b"Close,\tKeep-Alive ") == {b"close", b"keep-alive"}


def test_a_head_is_written_as_it_stands() -> None:
    assert head_bytes(b"HTTP/1.1 200 OK", [(b"a", b"1"), (b"a", b"")]) == b"HTTP/1.1 200 OK\r\na: 1\r\na: \r\n\r\n"


@pytest.mark.parametrize("byte", [b"\r", b"\n", b"\0"], ids=repr)
@pytest.mark.parametrize("place", ["line", "name", "value"])
def test_what_would_end_a_line_is_not_written(byte: bytes, place: str) -> None:
    text = b"a" + byte + b"b"
    line = text if place == "line" else b"GET / HTTP/1.1"
    header = (text if place == "name" else b"a", text if place == "value" else b"secret")
    with pytest.raises(ValueError, match=r"CR, LF or NUL|characters of a name") as caught:
        head_bytes(line, [header])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", [b"", b"a:", b"a b", b"a\xff", b"a\t"], ids=repr)
def test_what_is_no_name_is_not_written(name: bytes) -> None:
    with pytest.raises(ValueError, match="characters of a name"):
        head_bytes(b"GET / HTTP/1.1", [(name, b"x")])


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=4), st.binary(max_size=16))
def test_whatever_is_written_has_as_many_lines_as_headers(headers: list[tuple[bytes, bytes]], line: bytes) -> None:
    try:
        written = head_bytes(line, headers)
    except ValueError:
        return
    assert written.endswith(b"\r\n\r\n")
    assert len(written.split(b"\r\n")) == len(headers) + 3
    assert written.count(b"\r") == written.count(b"\n") == len(headers) + 2
