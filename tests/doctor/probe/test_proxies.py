"""The proxy is chosen as clients choose it, and gone through; its password is told to nobody."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from midstream.doctor.probe.asking import Asking, NoFarEnd
from midstream.doctor.probe.proxies import NoProxy, Proxy, proxy_for, proxy_of, refusal
from midstream.doctor.probe.road import target
from midstream.faults.probe import FarEnd
from tests.doctor.probe import answers
from tests.gateway.http import authority


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy:3128", Proxy("proxy", 3128)),
        ("proxy:3128", Proxy("proxy", 3128)),
        ("https://proxy", Proxy("proxy", 443, True)),
        ("http://me:p%40ss@proxy:1", Proxy("proxy", 1, False, "me:p@ss")),
    ],
)
def test_a_proxy(url: str, expected: Proxy) -> None:
    assert proxy_of(url) == expected


@pytest.mark.parametrize("url", ["", "socks5://proxy:1080", "ftp://proxy", "http://[::1", "http://p:99999"])
def test_what_is_no_proxy_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(NoProxy):
        proxy_of(url)


def test_a_password_is_sent_and_not_shown() -> None:
    proxy = Proxy("proxy", 1, False, "me:secret")
    assert "secret" not in repr(proxy) and b"proxy-authorization: Basic bWU6c2VjcmV0" in proxy.connect("host:443")
    assert b"authorization" not in Proxy("proxy", 1).connect("host:443")


@pytest.mark.parametrize(
    ("environ", "host", "asked", "expected"),
    [
        ({}, "host", None, None),
        ({"HTTPS_PROXY": "http://p:1"}, "host", None, Proxy("p", 1)),
        ({"https_proxy": "http://p:1"}, "host", None, Proxy("p", 1)),
        ({"ALL_PROXY": "http://p:1"}, "host", None, Proxy("p", 1)),
        ({"HTTP_PROXY": "http://p:1"}, "host", None, None),
        ({"HTTPS_PROXY": "http://p:1"}, "127.0.0.1", None, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "host,other"}, "host", None, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"}, "a.example", None, None),
        ({"HTTPS_PROXY": "http://p:1"}, "host", "none", None),
        ({"HTTPS_PROXY": "http://p:1"}, "host", "http://q:2", Proxy("q", 2)),
    ],
)
def test_which_proxy_it_is(
    environ: dict[str, str], host: str, asked: str | None, expected: Proxy | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(True, host, asked) == expected


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 200 Connection established\r\nvia: x\r\n\r\n", ""),
        (b"HTTP/1.1 20", None),
        (b"HTTP/1.1 407 Who are you\r\n\r\n<html>", "the proxy refuses: HTTP 407"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore", "the proxy does not answer as a proxy does"),
        (b"SSH-2.0\r\n\r\n", "the proxy does not answer as a proxy does"),
        (b"x" * 20_000, "the proxy does not answer as a proxy does"),
    ],
)
def test_what_a_proxy_answers(answer: bytes, why: str | None) -> None:
    assert refusal(answer) == why


# --- through one ---


def tunnelling(port: int, asked: list[bytes]) -> answers.Serve:
    """A proxy that opens tunnels to one port, whatever it is asked for."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            there_writer.write(head)
        try:
            await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))
        finally:
            there_writer.close()

    return serve


@pytest.mark.sockets
def test_a_plain_address_is_asked_of_the_proxy_as_a_whole() -> None:
    asked: list[bytes] = []

    async def run(far_end: FarEnd) -> None:
        async with answers.serving(tunnelling(far_end.port, asked)) as port:
            to = replace(target("http://far.invalid/path"), proxy=Proxy("127.0.0.1", port, False, "me:pw"))
            await Asking(to).hello()

    with FarEnd() as far_end:
        asyncio.run(run(far_end))
    assert (
        asked[0].startswith(b"POST http://far.invalid/path HTTP/1.1\r\n") and b"proxy-authorization: Basic" in asked[0]
    )


@pytest.mark.sockets
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_a_secure_address_is_reached_through_a_tunnel(protocol: str) -> None:
    asked: list[bytes] = []

    async def run() -> str:
        answer = answers.http1(b"HTTP/1.1 404 Not Found\r\nserver: inside\r\ncontent-length: 0\r\n\r\n")
        serve = answer if protocol == "http/1.1" else answers.http2(whole=True, headers=[("server", "inside")])
        context = authority.server_context("far.invalid", alpn=(protocol,))
        async with answers.serving(serve, context) as inside, answers.serving(tunnelling(inside, asked)) as port:
            to = replace(target("https://far.invalid/path"), proxy=Proxy("127.0.0.1", port))
            with pytest.raises(NoFarEnd) as told:
                await Asking(to, insecure=True).hello(protocol)  # type: ignore[arg-type]
            return str(told.value)

    assert "from inside" in asyncio.run(run())
    assert asked[0].startswith(b"CONNECT far.invalid:443 HTTP/1.1\r\n")


@pytest.mark.sockets
def test_a_proxy_that_refuses_is_told() -> None:
    async def run() -> None:
        async with answers.serving(answers.http1(b"HTTP/1.1 407 Who are you\r\n\r\n")) as port:
            await Asking(replace(target("https://far.invalid"), proxy=Proxy("127.0.0.1", port))).hello()

    with pytest.raises(NoFarEnd, match="the proxy refuses: HTTP 407"):
        asyncio.run(run())
