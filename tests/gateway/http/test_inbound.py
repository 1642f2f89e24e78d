"""The server on real sockets: whom it serves, whom it refuses, and that nothing that is sent brings it down."""

import asyncio
import datetime
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from midstream.gateway.http.inbound import REFUSED_AT_ONCE_MAX, Limits, Server
from tests.gateway.http.attacks import ATTACKS, CHUNKED, GET, HARMLESS, POST
from tests.gateway.http.serving import DEADLINE_S, EVENT, LOOPS, QUICK, Serving, read_all, read_until, serving

pytestmark = pytest.mark.sockets

Loop = Callable[[], asyncio.AbstractEventLoop]


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode()


def is_well(here: Serving) -> bool:
    answer = here.ask(get("/hello"))
    return (answer.status, answer.body, answer.end) == (200, b"hello", "fin")


@pytest.fixture(params=LOOPS, scope="module")
def here(request: pytest.FixtureRequest) -> Iterator[Serving]:
    with serving(request.param) as running:
        yield running


@pytest.mark.parametrize(("data", "status"), ATTACKS.values(), ids=ATTACKS)
def test_an_attack_gets_its_status_and_the_end_and_the_next_client_is_served(
    here: Serving, data: bytes, status: int
) -> None:
    answer = here.ask(data)
    assert (answer.status, answer.end) == (status, "fin")
    assert answer.error == ("request_too_large" if status == 413 else "invalid_request_error")
    # One answer, and none to what was hidden behind the request.
    assert answer.raw.count(b"content-type: ") == 1
    assert is_well(here)


@pytest.mark.parametrize(("data", "body"), HARMLESS.values(), ids=HARMLESS)
def test_what_is_odd_at_most_is_served(here: Serving, data: bytes, body: bytes) -> None:
    with here.connect() as line:
        line.sendall(data)
        assert read_until(line, b"\r\n\r\n" + body).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_answer_to_a_refused_head_has_no_body(here: Serving) -> None:
    answer = here.ask(b"HEAD / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n")
    assert (answer.status, answer.body, answer.end) == (400, b"", "fin")


SLOW = {
    "nothing": (b"", None),
    "half a line": (b"GET /ec", 408),
    "half a head": (b"GET /echo HTTP/1.1\r\nhost: a\r\nfoo: b", 408),
    "no body": (POST + b"content-length: 3\r\n\r\n", 408),
    "half a body": (POST + b"content-length: 3\r\n\r\nab", 408),
    "half a chunk": (CHUNKED + b"3\r\nab", 408),
    "no last chunk": (CHUNKED + b"3\r\nabc\r\n", 408),
}


@pytest.mark.parametrize(("data", "status"), SLOW.values(), ids=SLOW)
def test_who_stops_in_the_middle_is_told_so(here: Serving, data: bytes, status: int | None) -> None:
    answer = here.ask(data) if data else here.ask()
    assert (answer.status, answer.end) == (status, "fin")
    assert status is None or answer.error == "timeout_error"
    assert is_well(here)


@pytest.mark.parametrize("start", [GET[:-2], CHUNKED], ids=["head", "body"])
def test_who_trickles_for_ever_is_told_so(here: Serving, start: bytes) -> None:
    """A byte at a time is no more of a request than silence is."""
    with here.connect() as line:
        line.sendall(start)
        line.settimeout(0.02)
        until = time.monotonic() + DEADLINE_S
        received = b""
        while not received and time.monotonic() < until:
            line.sendall(b"a" if start is not CHUNKED else b"1\r\na\r\n")
            try:
                received = line.recv(65_536)
            except TimeoutError:
                continue
    assert received.startswith(b"HTTP/1.1 408 ")
    assert is_well(here)


SIZED = {
    "said to be too large": (b"content-length: 11\r\n\r\n", 413),
    "said to be too large and not waited for": (b"expect: 100-continue\r\ncontent-length: 11\r\n\r\n", 413),
    "too large in the end": (b"transfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nabcde\r\n", 413),
}


@pytest.mark.parametrize(("rest", "status"), SIZED.values(), ids=SIZED)
def test_a_body_beyond_what_its_handler_takes_is_refused(here: Serving, rest: bytes, status: int) -> None:
    answer = here.ask(POST.replace(b"/echo", b"/small") + rest)
    assert (answer.status, answer.error, answer.end) == (status, "request_too_large", "fin")
    assert is_well(here)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_limits_of_the_server_are_those_it_was_given(loop: Loop) -> None:
    limits = replace(QUICK, head_bytes=300, headers=4, target_bytes=50, body_bytes=20)
    rows = [
        (GET, 200),
        (get("/" + "a" * 50), 414),
        (POST + b"foo: " + b"a" * 300 + b"\r\n\r\n", 431),
        (POST + b"a: b\r\n" * 4 + b"\r\n", 431),
        (POST + b"content-length: 21\r\n\r\n", 413),
        (CHUNKED + b"15\r\n" + b"a" * 21, 413),
    ]
    with serving(loop, limits) as here:
        for data, status in rows:
            answer = here.ask(data)
            assert answer.status == status
            assert is_well(here)


@pytest.mark.parametrize("loop", LOOPS)
def test_connections_beyond_the_limit_hear_so(loop: Loop) -> None:
    with serving(loop, replace(QUICK, connections=2, head_s=DEADLINE_S)) as here:
        with here.connect() as one, here.connect():
            here.wait(lambda: here.server.connections == 2)
            answer = here.ask(GET)
            assert (answer.status, answer.error, answer.end) == (503, "overloaded_error", "fin")
            assert here.server.connections == 2
            one.sendall(GET)
            read_until(one, b"\r\n\r\n")
        here.wait(lambda: here.server.connections == 0)
        assert is_well(here)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_crowd_beyond_the_limit_is_not_kept_either(loop: Loop) -> None:
    with serving(loop, replace(QUICK, connections=0, linger_s=5.0)) as here:
        lines = [here.connect() for _ in range(REFUSED_AT_ONCE_MAX + 20)]
        answers = [read_all(line).status for line in lines]
        assert answers.count(503) >= REFUSED_AT_ONCE_MAX
        for line in lines:
            line.close()


def test_a_handler_that_fails_is_a_500_that_tells_nothing(here: Serving, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = here.ask(get("/fails"))
    assert (answer.status, answer.error, answer.end) == (500, "api_error", "fin")
    assert b"secret" not in answer.raw
    assert [record.getMessage() for record in caplog.records if record.name == "midstream.gateway"] == [
        "a handler failed with ValueError"
    ]
    assert "secret" not in caplog.text
    assert is_well(here)


def test_a_handler_that_fails_in_its_response_breaks_it_off(here: Serving) -> None:
    answer = here.ask(get("/fails-late"))
    assert (answer.status, answer.end) == (200, "fin")
    assert answer.body == b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
    assert is_well(here)


def test_a_header_that_would_be_two_is_a_500(here: Serving) -> None:
    answer = here.ask(get("/id"))
    assert (answer.status, answer.error, answer.end) == (500, "api_error", "fin")
    assert b"evil" not in answer.raw


@pytest.mark.parametrize("path", ["/..", "/a/../b", "/%2e%2e/", "/%00", "/a%0d%0ab:c", "//a/b", "/?a=\r", "/;a", "/~a"])
def test_a_path_reaches_its_handler_as_it_was_written(here: Serving, path: str) -> None:
    answer = here.ask(get(path))
    if "\r" in path:
        assert answer.status == 400
    else:
        assert (answer.status, answer.body) == (404, path.encode())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([POST, GET, CHUNKED, b"\r\n", b"content-length: 3\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n"])
        | st.binary(min_size=1, max_size=50),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_no_bytes_bring_it_down(here: Serving, pieces: list[bytes], reads: bool) -> None:
    with here.connect() as line:
        try:
            for piece in pieces:
                line.sendall(piece)
            line.shutdown(socket.SHUT_WR)
            if reads:
                read_all(line)
        except ConnectionError:
            pass
    assert is_well(here)


def test_a_client_that_leaves_in_its_body_ends_its_handler_without_a_word(
    here: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    with here.connect() as line:
        line.sendall(POST + b"content-length: 3\r\n\r\na")
        here.wait(lambda: here.server.responses)
    here.wait(lambda: not here.server.connections and not here.server.responses)
    assert caplog.records == []


# --- the end ---


@pytest.mark.parametrize("loop", LOOPS)
def test_draining_waits_for_what_runs_and_accepts_nothing_new(loop: Loop) -> None:
    with serving(loop, replace(QUICK, head_s=DEADLINE_S)) as here, here.connect() as idle, here.connect() as line:
        idle.sendall(GET)
        read_until(idle, b"\r\n\r\n")
        line.sendall(b"GET /open HTTP/1.1\r\nhost: a\r\n\r\n")
        read_until(line, EVENT + b"\r\n")
        draining = asyncio.run_coroutine_threadsafe(here.server.drain(DEADLINE_S), here.loop)
        # Who has nothing running is sent away, and nobody else comes in.
        assert read_all(idle).end == "fin"
        with pytest.raises(ConnectionError):
            here.connect()
        here.do(lambda: here.told.responses[-1].write(EVENT))
        read_until(line, EVENT + b"\r\n")
        assert not draining.done() and here.server.responses == 1
        here.do(here.told.responses[-1].end)
        draining.result(DEADLINE_S)
        answer = read_all(line)
        assert (answer.raw, answer.end) == (b"0\r\n\r\n", "fin")


@pytest.mark.parametrize("loop", LOOPS)
def test_draining_waits_no_longer_than_it_was_told(loop: Loop) -> None:
    with serving(loop) as here, here.connect() as line:
        line.sendall(b"GET /open HTTP/1.1\r\nhost: a\r\n\r\n")
        read_until(line, EVENT + b"\r\n")
        here.do(lambda: here.server.drain(0.05))
        assert here.server.responses == 1


@pytest.mark.parametrize("loop", LOOPS)
def test_closing_breaks_off_what_runs_and_stops_every_handler(loop: Loop) -> None:
    with serving(loop, replace(QUICK, head_s=DEADLINE_S, linger_s=1.0)) as here:
        with here.connect() as streams, here.connect() as hangs, here.connect() as idle, here.connect() as starts:
            streams.sendall(b"GET /open HTTP/1.1\r\nhost: a\r\n\r\n")
            read_until(streams, EVENT + b"\r\n")
            hangs.sendall(b"GET /hangs HTTP/1.1\r\nhost: a\r\n\r\n")
            starts.sendall(b"GET /hel")
            here.wait(lambda: here.server.responses == 2 and here.server.connections == 4)
            closing = asyncio.run_coroutine_threadsafe(here.server.aclose(), here.loop)
            # The client of the stream has all that was written, no last chunk, and no reset.
            for line in (streams, hangs, idle, starts):
                answer = read_all(line)
                assert (answer.raw, answer.end) == (b"", "fin")
        closing.result(DEADLINE_S)
        assert here.server.connections == here.server.responses == 0


@pytest.mark.parametrize("backlog_bytes", [0, 10_000_000])
@pytest.mark.parametrize("loop", LOOPS)
def test_closing_waits_for_no_client_for_ever(loop: Loop, backlog_bytes: int) -> None:
    limits = replace(QUICK, flush_s=3600.0, flush_total_s=3600.0)
    with serving(loop, limits) as here, here.connect(buffer_bytes=4096) as line:
        line.sendall(b"GET /open HTTP/1.1\r\nhost: a\r\n\r\n")
        read_until(line, EVENT + b"\r\n")
        here.do(lambda: here.told.responses[-1].write(b"a" * backlog_bytes))
        here.do(here.server.aclose)
        assert here.server.connections == 0


def test_a_port_that_is_taken_is_an_error_of_the_systems() -> None:
    async def story() -> None:
        one, two = Server(lambda request, response: asyncio.sleep(0)), Server(lambda _, __: asyncio.sleep(0))
        port = await one.listen("127.0.0.1", 0)
        assert one.limits == Limits()
        with pytest.raises(OSError, match="in use"):
            await two.listen("127.0.0.1", port)
        await one.aclose()
        await two.aclose()

    asyncio.run(story())


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(text + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize("loop", LOOPS)
def test_everything_holds_over_tls(loop: Loop, certificate: Path) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    client_side = ssl.create_default_context(cafile=str(certificate))
    chunk = b"%x\r\n%b\r\n" % (3 * len(EVENT), 3 * EVENT)
    rows = [(get("/hello"), b"hello"), (get("/cut"), chunk), (get("/whole"), chunk + b"0\r\n\r\n")]
    with serving(loop, QUICK, server_side) as here:
        for data, body in [*rows, *rows]:
            with client_side.wrap_socket(here.connect(), server_hostname="localhost") as line:
                line.sendall(data)
                answer = read_all(line)
                assert (answer.body, answer.end) == (body, "fin")
        # Who does not speak TLS gets nothing, and the next one is served.
        assert here.ask(GET).status is None
        with client_side.wrap_socket(here.connect(), server_hostname="localhost") as line:
            line.sendall(b"GET /open HTTP/1.1\r\nhost: a\r\n\r\n")
            read_until(line, EVENT + b"\r\n")
        here.wait(lambda: here.told.gone == ["/open"])
