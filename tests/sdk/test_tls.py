"""Over TLS, as in the world: limits, closing and certificates."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import midstream
from midstream.faults.server import FaultServer
from midstream.recovery.failure import Kind
from tests.sdk.calls import ASKED, FOUR_WAYS, PLAIN, Way, call
from tests.sdk.waiting import until

x509 = pytest.importorskip("cryptography.x509", reason="no cryptography to make a certificate with")

pytestmark = pytest.mark.sockets
SHORT = midstream.Policy(attempts=1, silence_s=0.25)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own for 127.0.0.1, with its key."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "midstream tests")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


class TLSServer:
    """Puts TLS in front of a `FaultServer`, byte for byte."""

    def __init__(self, server: FaultServer, certificate: Path) -> None:
        self._server = server
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate)
        self._started, self._loop, self._stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
        self.port = 0
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()), daemon=True)

    def __enter__(self) -> "TLSServer":
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = listener.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        listener.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, OSError):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._server.port)
            try:
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            finally:
                writer.transport.abort()
                inner_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
    except OSError:
        writer.transport.abort()


@pytest.fixture
def server(certificate: Path) -> Iterator[tuple[FaultServer, str]]:
    with FaultServer() as server, TLSServer(server, certificate) as tls:
        yield server, f"https://127.0.0.1:{tls.port}"


def connect(url: str, verify: Any, script: str, policy: midstream.Policy) -> Any:
    def connected(*, is_async: bool) -> Any:
        kind: Any = anthropic.DefaultAsyncHttpxClient if is_async else anthropic.DefaultHttpxClient
        return PLAIN.make(
            is_async=is_async,
            base_url=url,
            http_client=kind(verify=verify),
            default_headers={"x-midstream-fault": script},
            middleware=[midstream.Recovery(policy)],
        )

    return connected


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_broken_stream_heals(way: Way, server: tuple[FaultServer, str], certificate: Path) -> None:
    policy = midstream.Policy(backoff_s=(0, 0))
    script = "cut-rst@event=20; then cut-fin@event=30; then ok"
    seen = call(way, connect(server[1], trusting(certificate), script, policy))
    assert seen.error is None and len(server[0].requests) == 3


@pytest.mark.parametrize("script", ["always silence@event=9", "always trickle-size@event=9 every=0.05"])
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_silence_ends(way: Way, script: str, server: tuple[FaultServer, str], certificate: Path) -> None:
    policy = SHORT if "size" not in script else midstream.Policy(attempts=1, silence_s=0.25)
    seen = call(way, connect(server[1], trusting(certificate), script, policy))
    assert isinstance(seen.error, midstream.StreamError) and seen.error.failure.kind is Kind.SILENT
    assert seen.error.partial == seen.so_far != {}
    until(lambda: server[0].open_connections == 0)


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_bad_certificate_is_said_and_not_tried_again(way: Way, server: tuple[FaultServer, str]) -> None:
    strict = ssl.create_default_context()
    seen = call(way, connect(server[1], strict, "ok", midstream.Policy()))
    assert isinstance(seen.error, midstream.StreamError) and seen.error.failure.kind is Kind.UNREACHABLE
    assert seen.error.failure.certificate and len(seen.error.report.attempts) == 1


def test_closing_from_another_thread_wakes_the_reader(server: tuple[FaultServer, str], certificate: Path) -> None:
    connected = connect(server[1], trusting(certificate), "silence@event=9", midstream.Policy())
    with connected(is_async=False) as client:
        stream = client.messages.create(**ASKED, stream=True)
        next(stream)

        def read() -> None:
            with contextlib.suppress(anthropic.APIError, httpx2.StreamError):
                list(stream)

        reader = threading.Thread(target=read)
        reader.start()
        threading.Event().wait(0.1)
        stream.close()
        reader.join(timeout=10)
        assert not reader.is_alive() and len(server[0].requests) == 1
    until(lambda: server[0].open_connections == 0)


def test_a_whole_stream_gives_its_connection_back(server: tuple[FaultServer, str], certificate: Path) -> None:
    with connect(server[1], trusting(certificate), "ok", midstream.Policy())(is_async=False) as client:
        ports = set()
        for _ in range(3):
            with client.messages.stream(**ASKED) as stream:
                ports.add(stream.response.extensions["network_stream"].get_extra_info("client_addr"))
                stream.until_done()
        assert len(ports) == 1
