"""Every way not to get a connection, and the ways to get one: names, sockets, TLS, proxies."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from midstream.gateway.http import connect, pool, tls
from midstream.gateway.http.client import ClientConnection
from midstream.gateway.http.connect import TUNNEL_HEAD_BYTES_MAX, ConnectFailed, open_socket
from midstream.gateway.http.outbound import Origin, Proxies
from tests.gateway.http.authority import server_context, trusting
from tests.gateway.http.proxy import ConnectProxy
from tests.gateway.http.servers import Answer, Run, Server, answer_to, ask, on_both_loops, pooled, post, settled, until


@contextlib.contextmanager
def nobody_answers() -> Iterator[int]:
    """A port whose queue is full: who knocks there waits for ever."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def refusing_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@on_both_loops
def test_a_port_where_nobody_listens_refuses(run: Run) -> None:
    async def story() -> None:
        async with pooled() as asking:
            heard, exchange = ask(asking, post(Origin("http", "127.0.0.1", refusing_port())))
            await heard.over()
            assert (heard.end, heard.detail, exchange.sent) == ("connect", "ConnectionRefusedError", False)

    run(story())


@on_both_loops
@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".invalid"])
def test_a_name_that_is_none_is_a_failure_of_dns(run: Run, host: str) -> None:
    async def story() -> None:
        async with pooled() as asking:
            heard, exchange = ask(asking, post(Origin("http", host, 80)))
            await heard.over()
            assert (heard.end, heard.detail, exchange.sent) == ("dns", "the name was not found", False)

    run(story())


@on_both_loops
def test_who_does_not_answer_is_given_up_in_time(run: Run) -> None:
    async def story() -> None:
        with nobody_answers() as port:
            async with pooled() as asking:
                heard, exchange = ask(asking, post(Origin("http", "127.0.0.1", port)), 0.05)
                await heard.over()
                assert (heard.end, exchange.sent) == ("connect_timeout", False)

    run(story())


@on_both_loops
def test_a_silent_address_does_not_hold_up_the_next(run: Run) -> None:
    async def story() -> None:
        with nobody_answers() as port:
            async with Server() as server:
                addresses = [(socket.AF_INET, ("127.0.0.1", at)) for at in (port, refusing_port(), server.port)]
                async with asyncio.timeout(5):
                    raw = await open_socket(addresses)
                assert raw.getpeername()[1] == server.port
                assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                raw.close()
                await settled()

    run(story())


@on_both_loops
def test_where_no_address_answers_the_first_failure_counts(run: Run) -> None:
    async def story() -> None:
        addresses = [(socket.AF_INET, ("127.0.0.1", refusing_port())) for _ in range(3)]
        with pytest.raises(ConnectFailed) as failed:
            await open_socket(addresses)
        assert (failed.value.reason, failed.value.detail) == ("connect", "ConnectionRefusedError")

    run(story())


@on_both_loops
def test_of_two_addresses_that_answer_one_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "STAGGER_S", 0)

    async def story() -> None:
        async with Server() as server:
            raw = await open_socket([(socket.AF_INET, ("127.0.0.1", server.port))] * 4)
            await until(lambda: server.connections and server.open == 1)
            raw.close()
            await until(lambda: server.open == 0)

    run(story())


@on_both_loops
def test_whatever_goes_wrong_before_there_is_a_connection_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with pooled() as asking:
            monkeypatch.setattr(tls, "client_context", lambda: 1 / 0)
            heard, exchange = ask(asking, post(Origin("https", "127.0.0.1", 1)))
            await heard.over()
            assert (heard.end, heard.detail, exchange.sent) == ("connect", "ZeroDivisionError", False)

    run(story())


@on_both_loops
def test_a_host_with_two_addresses_is_reached_at_either(run: Run) -> None:
    """``localhost`` is ::1 as well, where nobody listens."""

    async def story() -> None:
        async with Server() as server, pooled() as asking:
            assert (await answer_to(asking, post(server.origin("localhost")))).body == b"ok"

    run(story())


@on_both_loops
def test_a_server_that_closes_at_once_was_not_asked(run: Run) -> None:
    async def story() -> None:
        async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        closing = await asyncio.start_server(close, "127.0.0.1", 0)
        async with pooled() as asking:
            heard, exchange = ask(asking, post(Origin("http", "127.0.0.1", closing.sockets[0].getsockname()[1])))
            await heard.over()
            # Which it is depends on who is quicker; neither may be taken for an answer.
            assert heard.end in ("connect", "closed", "reset")
            assert exchange.sent == (heard.end != "connect")
        closing.close()
        await settled()

    run(story())


@on_both_loops
def test_a_connection_that_is_closed_before_it_is_used_is_not_written_to(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dial_slowly(*arguments: Any) -> ClientConnection:
        connection = await connect.dial(*arguments)
        await until(lambda: connection.is_closing)
        return connection

    async def story() -> None:
        monkeypatch.setattr(pool, "dial", dial_slowly)
        async with Server() as server, pooled() as asking:
            heard, exchange = ask(asking, post(server.origin()))
            await until(lambda: server.writers)
            server.writers[0].close()
            await heard.over()
            assert (heard.end, exchange.sent, server.asked) == ("connect", False, [])
            await until(lambda: asking.connections == 0)

    run(story())


# --- TLS ---


@on_both_loops
def test_tls_is_spoken_and_its_connections_are_kept(run: Run) -> None:
    async def story() -> None:
        context = server_context("localhost", "127.0.0.1")
        names: list[str | None] = []
        context.sni_callback = lambda _, name, __: names.append(name)
        async with Server(tls=context) as server, pooled(ssl_context=trusting()) as asking:
            for host in ("localhost", "localhost", "127.0.0.1"):
                heard = await answer_to(asking, post(server.origin(host)))
                assert (heard.end, heard.body) == ("ended", b"ok"), heard.detail
            assert server.connections == 2
            assert names == ["localhost", None]  # an address is no name
            spoken = {writer.get_extra_info("ssl_object").selected_alpn_protocol() for writer in server.writers}
            assert spoken == {"http/1.1"}

    run(story())


@on_both_loops
@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("localhost",), {"authority": "somebody"}),
        (("elsewhere.example",), {}),
        (("localhost",), {"expired": True}),
    ],
    ids=["unknown authority", "another name", "expired"],
)
def test_a_certificate_that_is_not_good_is_refused(
    run: Run, names: tuple[str, ...], options: dict[str, object]
) -> None:
    async def story() -> None:
        context = server_context(*names, **options)  # type: ignore[arg-type]
        async with Server(tls=context) as server, pooled(ssl_context=trusting()) as asking:
            heard, exchange = ask(asking, post(server.origin("localhost")))
            await heard.over()
            assert (heard.end, exchange.sent, server.asked) == ("certificate", False, [])
            assert heard.detail
            await until(lambda: server.open == 0)

    run(story())


@on_both_loops
def test_without_a_context_the_systems_authorities_decide(run: Run) -> None:
    async def story() -> None:
        async with Server(tls=server_context("localhost")) as server, pooled() as asking:
            assert (await answer_to(asking, post(server.origin("localhost")))).end == "certificate"

    run(story())


@on_both_loops
@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b""])
def test_a_server_that_does_not_speak_tls_is_said_not_to(run: Run, greeting: bytes) -> None:
    async def story() -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(greeting)
            writer.close()

        plain = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with pooled(ssl_context=trusting()) as asking:
            heard, exchange = ask(asking, post(Origin("https", "localhost", plain.sockets[0].getsockname()[1])))
            await heard.over()
            assert (heard.end, exchange.sent) == ("tls", False)
        plain.close()
        await settled()

    run(story())


@on_both_loops
def test_a_handshake_that_never_ends_is_given_up_in_time(run: Run) -> None:
    async def story() -> None:
        async with Server(scheme="https") as server, pooled(ssl_context=trusting()) as asking:
            heard, exchange = ask(asking, post(server.origin("localhost")), 0.05)
            await heard.over()
            assert (heard.end, exchange.sent) == ("connect_timeout", False)
            await until(lambda: server.connections and not server.open)

    run(story())


# --- proxies ---


def through(proxy: ConnectProxy) -> Proxies:
    return Proxies(proxy.proxy, proxy.proxy)


SECRET = b"Basic dXNlcjpzM2NyZXQ="


@on_both_loops
@pytest.mark.parametrize("authorization", [None, SECRET], ids=["open", "with a password"])
@pytest.mark.parametrize("secure", [False, True], ids=["http proxy", "https proxy"])
def test_https_goes_through_a_tunnel(run: Run, secure: bool, authorization: bytes | None) -> None:
    async def story() -> None:
        context = server_context("localhost") if secure else None
        async with (
            Server(tls=server_context("api.example")) as server,
            ConnectProxy(server, tls=context, authorization=authorization) as proxy,
            pooled(ssl_context=trusting(), proxies=through(proxy)) as asking,
        ):
            for _ in range(2):
                heard = await answer_to(asking, post(Origin("https", "api.example", 443)))
                assert (heard.end, heard.body) == ("ended", b"ok"), heard.detail
            (tunnel,) = proxy.tunnels
            assert tunnel.startswith(b"CONNECT api.example:443 HTTP/1.1\r\nhost: api.example:443\r\n")
            assert (SECRET in tunnel) is (authorization is not None)
            assert [b"proxy-authorization" in asked.head for asked in server.asked] == [False, False]
            assert server.asked[0].head.startswith(b"POST /v1/messages HTTP/1.1\r\nhost: api.example\r\n")

    run(story())


@on_both_loops
def test_http_is_asked_of_the_proxy_by_its_whole_url(run: Run) -> None:
    async def story() -> None:
        async with (
            Server() as server,
            ConnectProxy(server, authorization=SECRET) as proxy,
            pooled(proxies=through(proxy)) as asking,
        ):
            for host, port in (("a.example", 80), ("b.example", 8080)):
                heard = await answer_to(asking, post(Origin("http", host, port)))
                assert (heard.end, heard.body) == ("ended", b"proxied")
            # One connection to the proxy serves every origin.
            assert (proxy.connections, proxy.tunnels, server.asked) == (1, [], [])
            first, second = (asked.head for asked in proxy.asked)
            assert first.startswith(b"POST http://a.example/v1/messages HTTP/1.1\r\nhost: a.example\r\n")
            assert second.startswith(b"POST http://b.example:8080/v1/messages HTTP/1.1\r\nhost: b.example:8080\r\n")
            assert b"proxy-authorization: " + SECRET in first

    run(story())


REFUSALS = {
    "407": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "hang", "the proxy refused: 407"),
    "502, then closed": (b"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", "close", "the proxy refused: 502"),
    "503": (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "close", "the proxy refused: 503"),
    "something else": (b"220 mail.example ESMTP\r\n\r\n", "hang", "the proxy does not answer as a proxy does"),
    "more than an answer": (b"HTTP/1.1 200 OK\r\n\r\nhello", "hang", "the proxy does not answer as a proxy does"),
    "too much": (b"HTTP/1.1 200 OK\r\na: " + b"x" * TUNNEL_HEAD_BYTES_MAX, "hang", "does not answer as a proxy does"),
    "nothing": (b"", "close", "the proxy closed the connection"),
    "half a line": (b"HTTP/1.1 2", "close", "the proxy closed the connection"),
}


@on_both_loops
@pytest.mark.parametrize("name", REFUSALS)
def test_a_proxy_that_opens_no_tunnel_is_no_connection(run: Run, name: str) -> None:
    to_connect, then, detail = REFUSALS[name]

    async def story() -> None:
        async with (
            Server() as server,
            ConnectProxy(server, to_connect=to_connect, then=then, authorization=SECRET) as proxy,
            pooled(ssl_context=trusting(), proxies=through(proxy)) as asking,
        ):
            heard, exchange = ask(asking, post(Origin("https", "api.example", 443)))
            await heard.over()
            assert (heard.end, exchange.sent) == ("connect", False)
            assert detail in heard.detail
            await until(proxy.was_left)

    run(story())


@on_both_loops
@pytest.mark.parametrize(
    "answer", [Answer(b""), Answer(b"HTTP/1.1 200 OK\r\n\r\n")], ids=["no answer", "no TLS behind it"]
)
def test_a_proxy_that_hangs_is_given_up_in_time(run: Run, answer: Answer) -> None:
    async def story() -> None:
        async with (
            Server() as server,
            ConnectProxy(server, to_connect=answer.data, then="hang") as proxy,
            pooled(ssl_context=trusting(), proxies=through(proxy)) as asking,
        ):
            heard = await answer_to(asking, post(Origin("https", "api.example", 443)), 0.05)
            assert heard.end == "connect_timeout"
            assert len(proxy.tunnels) == 1

    run(story())


@on_both_loops
def test_a_certificate_behind_a_proxy_is_checked_too(run: Run) -> None:
    async def story() -> None:
        async with (
            Server(tls=server_context("other.example")) as server,
            ConnectProxy(server) as proxy,
            pooled(ssl_context=trusting(), proxies=through(proxy)) as asking,
        ):
            assert (await answer_to(asking, post(Origin("https", "api.example", 443)))).end == "certificate"

    run(story())
