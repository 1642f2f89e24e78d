"""What can be probed, and what is said of what cannot."""

import asyncio

import pytest

from midstream.doctor.probe.road import NoRoad, NotAnAddress, Target, open_road, target
from tests.doctor.probe import answers


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("http://host", Target(False, "host", 80, "/"), "host"),
        ("https://host/v1/messages?a=b#c", Target(True, "host", 443, "/v1/messages?a=b"), "host"),
        ("http://host:8080/", Target(False, "host", 8080, "/"), "host:8080"),
        ("http://[::1]:81/x", Target(False, "::1", 81, "/x"), "[::1]:81"),
        ("https://bücher.example", Target(True, "xn--bcher-kva.example", 443, "/"), "xn--bcher-kva.example"),
    ],
)
def test_an_address(url: str, expected: Target, authority: str) -> None:
    assert target(url) == expected and target(url).authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "ftp://host",
        "http://",
        "http://ho st",
        "http://host\r\nx: y",
        "http://user:pw@host",
        "http://h:99999",
        "http://[::1",
        "http://" + "a" * 300,
    ],
)
def test_what_is_no_address_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(NotAnAddress) as refused:
        target(url)
    assert "pw" not in str(refused.value)


def test_something_may_be_put_behind_the_path() -> None:
    assert target("http://host/a/").at("/b").path == "/a/b"


@pytest.mark.sockets
def test_what_is_not_tls_is_no_road() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await answers.do(writer, [b"HTTP/1.1 400 Bad Request\r\n\r\n", 0.05])

    async def run() -> None:
        async with answers.serving(serve) as port:
            await open_road(Target(True, "127.0.0.1", port, "/"), ["h2"], insecure=True)

    with pytest.raises(NoRoad, match=r"TLS|no connection|does not answer"):
        asyncio.run(run())


@pytest.mark.sockets
def test_a_name_that_is_nobodys_is_no_road() -> None:
    with pytest.raises(NoRoad, match=r"no connection to nobody\.invalid"):
        asyncio.run(open_road(target("http://nobody.invalid"), []))
