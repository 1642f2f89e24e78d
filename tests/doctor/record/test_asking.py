"""Whatever a server does to a reply, the recording has what came and how it ended."""

import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from midstream.doctor.diagnose.run import Examined, examine
from midstream.doctor.record.asking import BadUrl, Question, record
from midstream.doctor.record.writer import Bounds, Writer
from midstream.doctor.recording.facts import How
from midstream.faults.server import FaultServer
from tests.wire import sse, text, whole

pytestmark = pytest.mark.sockets

ONE = sse(*whole(text(0, "Hello")))
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nset-cookie: session=1\r\n\r\n"
)
BODY = json.dumps(
    {"stream": True, "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
).encode()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def serving(act: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request and does this."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                asked = b""
                # All of it: a socket that is closed with something unread resets its connection.
                while b"\r\n\r\n" not in asked or not asked.endswith(BODY):
                    asked += connection.recv(65536)
                act(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/messages"
        thread.join(20)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def recorded(url: str, bounds: Bounds | None = None, **headers: str) -> tuple[Writer, str]:
    out = io.StringIO()
    writer = Writer(out)
    record(Question(url, "POST", headers, BODY), writer, bounds)
    return writer, out.getvalue()


def diagnosed(lines: str) -> Examined:
    return examine(io.BytesIO(lines.encode()))


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


ROWS: dict[str, tuple[list[bytes], bool, How, int]] = {
    "complete": ([CHUNKED + chunk(ONE) + b"0\r\n\r\n"], False, How.CLEAN, len(ONE)),
    "FIN inside the chunks": ([CHUNKED + chunk(ONE[:200])], False, How.INCOMPLETE, 200),
    "FIN inside a chunk": ([CHUNKED + chunk(ONE[:200]) + b"ff\r\nabc"], False, How.INCOMPLETE, 203),
    "RST": ([CHUNKED + chunk(ONE[:200])], True, How.RESET, 200),
    "illegal chunks": ([CHUNKED + chunk(ONE[:200]) + b"zz\r\n"], False, How.INCOMPLETE, 200),
    "no framing": ([b"HTTP/1.1 200 OK\r\n\r\n" + ONE[:200]], False, How.CLOSED, 200),
    "HTTP/1.0": ([b"HTTP/1.0 200 OK\r\n\r\n" + ONE], False, How.CLOSED, len(ONE)),
    "short": ([b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + ONE[:200]], False, How.INCOMPLETE, 200),
    "all of its length": ([b"HTTP/1.1 529 X\r\ncontent-length: 2\r\n\r\n{}"], False, How.CLEAN, 2),
    "no reply": ([], False, How.NO_ANSWER, 0),
    "no HTTP": ([b"SSH-2.0-x\r\n"], False, How.NO_ANSWER, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_how_it_ended_is_recorded_and_every_byte_that_came(name: str) -> None:
    parts, resets, how, size = ROWS[name]

    def act(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        if resets:
            time.sleep(0.3)  # what was sent is read before it: a reset throws away what waits
            reset(connection)

    with serving(act) as url:
        writer, lines = recorded(url)
    assert writer.finished is not None
    assert (writer.finished.how, writer.bytes) == (how, size)
    assert "session=1" not in lines


def test_a_silence_is_recorded_with_its_length() -> None:
    done = threading.Event()

    def act(connection: socket.socket) -> None:
        connection.sendall(CHUNKED + chunk(ONE[:200]))
        done.wait(20)

    with serving(act) as url:
        writer, lines = recorded(url, Bounds(idle_s=0.4))
        done.set()
    assert writer.finished is not None and writer.finished.how is How.TIMEOUT
    (one,) = diagnosed(lines).diagnoses
    assert one.timing is not None and one.timing.silence_s is not None and one.timing.silence_s >= 0.4


def test_a_silence_before_the_headers_is_one_too() -> None:
    done = threading.Event()
    with serving(lambda _: [done.wait(20)] and None) as url:  # type: ignore[func-returns-value]
        writer, _ = recorded(url, Bounds(idle_s=0.3))
        done.set()
    assert writer.finished is not None and writer.finished.how is How.TIMEOUT


@pytest.mark.parametrize("bounds", [Bounds(bytes=1000), Bounds(seconds=0.5)])
def test_a_recording_ends_at_its_bounds(bounds: Bounds) -> None:
    def act(connection: socket.socket) -> None:
        connection.sendall(CHUNKED)
        try:
            while True:
                connection.sendall(chunk(b": and on\n\n" * 50))
                time.sleep(0.01)
        except OSError:
            pass

    with serving(act) as url:
        writer, _ = recorded(url, bounds)
    assert writer.finished is not None and writer.finished.how is How.STOPPED


def test_nobody_there_is_no_answer() -> None:
    writer, _ = recorded("http://127.0.0.1:1/")
    assert writer.finished is not None and writer.finished.how is How.NO_ANSWER and "refused" in writer.finished.detail


def test_what_was_asked_is_told_without_its_credentials() -> None:
    with FaultServer("ok") as server:
        _, lines = recorded(
            f"{server.url}/v1/messages?key=abcdefghijklmn", **{"x-api-key": "sk-ant-api03-secret", "accept": "*/*"}
        )
    asked = json.loads(lines.splitlines()[1])["asked"]
    assert asked["headers"] == {"x-api-key": "<hidden>", "accept": "*/*"} and asked["body_bytes"] == len(BODY)
    assert "secret" not in lines and "abcdefghijklmn" not in lines
    assert diagnosed(lines).diagnoses[0].healthy


def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def act(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        seen.append("asked")

    with serving(act) as url:
        monkeypatch.setenv("http_proxy", url.partition("/v1")[0])
        monkeypatch.setenv("no_proxy", "")
        writer, _ = recorded("http://nobody.invalid/v1/messages")
    assert seen and writer.finished is not None and writer.finished.how is How.CLEAN


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://", "http://user:pw@x/", "http://[::1", "http://x:99999/", "http://x/a b", "x"]
)
def test_a_url_that_cannot_be_asked_is_one_sentence_and_nothing_is_sent(url: str) -> None:
    out = io.StringIO()
    with pytest.raises(BadUrl):
        record(Question(url), Writer(out))
    assert len(out.getvalue().splitlines()) == 1


def test_an_interrupt_is_the_end_of_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("midstream.doctor.record.asking._ask", interrupted)
    writer = Writer(io.StringIO())
    with pytest.raises(KeyboardInterrupt):
        record(Question("http://x"), writer)
    assert writer.finished is not None and writer.finished.how is How.STOPPED


@pytest.mark.parametrize("proxy", ["", "127.0.0.1:1", "http://127.0.0.1:1"])
def test_https_goes_straight_or_through_a_tunnel(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    if proxy:
        monkeypatch.setenv("https_proxy", proxy)
    writer, _ = recorded("https://nobody.invalid/v1/messages" if proxy else "https://127.0.0.1:1/v1/messages")
    assert writer.finished is not None and writer.finished.how is How.NO_ANSWER and "refused" in writer.finished.detail
