"""In the real proxy, what takes a special origin or client to show: limits before the headers, stops, headers."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from midstream.faults.server import FaultServer
from tests.doctor import streams
from tests.doctor.behind import behind, behind_process
from tests.doctor.lint.cases import CASES
from tests.doctor.lint.test_proof import harm_of
from tests.faults.raw import Answer, ask, connect

pytestmark = [pytest.mark.sockets]

Harm = Callable[[str, str], bool]


def gives_up_before_the_headers(kind: str, text: str) -> bool:
    """An origin that thinks for a while is answered for."""
    with FaultServer("always silent-early") as faults, behind(kind, text, faults.port) as base_url:
        return ask(base_url, timeout_s=4.0, total_s=4.0).end != "timeout"


def sends_no_tenant(kind: str, text: str) -> bool:
    """A header that is set further out does not reach the origin."""
    with FaultServer() as faults, behind(kind, text, faults.port) as base_url:
        ask(base_url, timeout_s=streams.DEADLINE_S)
        return "x-tenant" not in faults.requests[-1].headers


def closes_connections(kind: str, text: str) -> bool:
    """The origin is told to close the connection."""
    with FaultServer() as faults, behind(kind, text, faults.port) as base_url:
        ask(base_url, timeout_s=streams.DEADLINE_S)
        return faults.requests[-1].headers.get("connection") == "close"


def waits_for_the_whole_prompt(kind: str, text: str) -> bool:
    """Nothing of a prompt reaches the origin before all of it is there."""
    with FaultServer() as faults, behind(kind, text, faults.port) as base_url:
        with closing(connect(base_url, streams.DEADLINE_S)) as line:
            line.sendall(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n" + b"x" * 500)
            return not streams.within(streams.SETTLE_S, lambda: faults.open_connections > 0)


def compresses_events(kind: str, text: str) -> bool:
    """Events are compressed for a client that takes it."""
    with FaultServer() as faults, behind(kind, text, faults.port) as base_url:
        answer = ask(base_url, timeout_s=streams.DEADLINE_S, accept_encoding="gzip")
        return "content-encoding: gzip" in answer.head


@contextmanager
def origin(answer: bytes) -> Iterator[int]:
    """An origin that says this to whoever asks, and then nothing more."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                kept.append(line)
                line.recv(65_536)
                line.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(streams.DEADLINE_S)
            for line in kept:
                line.close()


def ignores_what_the_upstream_says(kind: str, text: str) -> bool:
    """An origin that asks not to be buffered is buffered: its large event does not come whole."""
    event = b"data: " + b"x" * streams.BIG_BYTES + streams.END_OF_BIG + b"\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-accel-buffering: no\r\n"
    answer = head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(event), event)
    with origin(answer) as port, behind(kind, text, port) as base_url:
        return not streams.arrives(base_url, streams.END_OF_BIG, {})


HARMS: dict[str, Harm] = {
    "NGX-ACCEL-IGNORED": ignores_what_the_upstream_says,
    "NGX-HEADERS-LOST": sends_no_tenant,
    "NGX-KEEPALIVE-CLOSED": closes_connections,
    "NGX-LIMIT-RATE": streams.holds_back,
    "NGX-REQUEST-BUFFERING": waits_for_the_whole_prompt,
    "HAP-COMPRESSION": compresses_events,
}
SLOW: dict[str, Harm] = {
    "CAD-HEADER-TIMEOUT": gives_up_before_the_headers,
    "VCL-FIRST-BYTE": gives_up_before_the_headers,
}


@pytest.mark.parametrize(("rule", "harm"), HARMS.items(), ids=list(HARMS))
def test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not(rule: str, harm: Harm) -> None:
    harm_of(rule, harm)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "harm"), SLOW.items(), ids=list(SLOW))
def test_a_limit_that_is_short_cuts_and_one_that_is_long_does_not(rule: str, harm: Harm) -> None:
    harm_of(rule, harm, waits=True)


# Lines that are said to be limits of a stream: with one second, a silence of five passes.
NO_LIMIT = {
    "NGX-NOOP-SEND-TIMEOUT": ("600s", "1s"),
    "NGX-NOOP-CONNECT-TIMEOUT": ("600s", "1s"),
    "HAP-NOOP-TUNNEL": ("tunnel 1h", "tunnel 1s"),
    "HAP-NOOP-CLIENT": ("client 3600s", "client 1s"),
    "CAD-NOOP-TIMEOUTS": ("10m", "1s"),
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", NO_LIMIT)
def test_a_line_that_is_no_limit_of_a_stream_cuts_none(rule: str) -> None:
    case = CASES[rule]
    old, new = NO_LIMIT[rule]
    assert old in case.bad
    assert not streams.cuts_a_silence(case.kind, case.bad.replace(old, new))


@pytest.mark.parametrize("rule", ["CAD-NOOP-FLUSH", "APA-NOOP-FLUSH"])
def test_without_the_line_events_go_on_at_once_all_the_same(rule: str) -> None:
    assert not streams.holds_back(CASES[rule].kind, CASES[rule].good)
    assert not streams.comes_in_batches(CASES[rule].kind, CASES[rule].good)


def test_apache_compresses_each_event_at_once() -> None:
    text = CASES["APA-NOOP-GZIP"].good.replace(
        "ProxyPass /", "AddOutputFilterByType DEFLATE text/event-stream\nProxyPass /"
    )
    assert not streams.holds_back("apache", text, accept_encoding="gzip")


# --- stops ---


def is_cut_by(number: signal.Signals, kind: str, text: str) -> bool:
    """Whether a stream that pings ends within seconds of a signal."""
    with (
        FaultServer("always pings-only@event=5 every=0.5") as faults,
        behind_process(kind, text, faults.port) as (base_url, process),
        closing(connect(base_url, streams.DEADLINE_S)) as line,
    ):
        streams.send(line)
        received = b""
        while received.count(b"event: ") < 5:
            received += streams.piece(line)
        process.send_signal(number)
        ended = threading.Event()

        def read() -> None:
            try:
                while line.recv(65_536):
                    pass
            except OSError:
                pass
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        cut = ended.wait(4.0)
        line.shutdown(socket.SHUT_RDWR)
        reader.join(streams.DEADLINE_S)
        return cut


STOPS = {"NGX-SHUTDOWN": signal.SIGHUP, "HAP-HARD-STOP": signal.SIGUSR1, "CAD-GRACE": signal.SIGTERM}


@pytest.mark.slow
@pytest.mark.parametrize("rule", STOPS)
def test_a_short_grace_cuts_streams_and_a_long_one_lets_them_be(rule: str) -> None:
    case = CASES[rule]
    # nginx has a reload only where it has a master.
    first = "master_process on;\n" if case.kind == "nginx" else ""
    questions = [lambda text=text: is_cut_by(STOPS[rule], case.kind, first + text) for text in (case.bad, case.good)]
    assert streams.at_once(*questions) == [True, False]


def test_the_answer_helper_reads_what_was_compressed() -> None:
    assert streams.readable(b"HTTP/1.1 200 OK\r\n\r\nabc") == b"abc" == Answer(b"x\r\n\r\nabc", "fin").body
