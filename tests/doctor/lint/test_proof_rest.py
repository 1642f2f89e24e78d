"""In the real proxy, what takes a client, an origin or a process of its own: pauses, kept lines, dead upstreams."""

import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from midstream.doctor.lint import run
from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.source import Source
from midstream.faults.server import FaultServer
from tests.doctor import streams
from tests.doctor.behind import behind, behind_process, program_version
from tests.doctor.lint.cases import CASES
from tests.doctor.lint.test_cases import fixed
from tests.doctor.lint.test_proof import RIGHT, harm_of, is_fixed
from tests.faults.raw import ask, connect

pytestmark = [pytest.mark.sockets]

Harm = Callable[[str, str], bool]


@contextmanager
def origin(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """An origin that serves each connection by this, until it is closed."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        lines: list[socket.socket] = []
        threads: list[threading.Thread] = []

        def guarded(line: socket.socket) -> None:
            with closing(line), suppress(OSError):
                serve(line)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    line, _ = listener.accept()
                    lines.append(line)
                    threads.append(threading.Thread(target=guarded, args=(line,), daemon=True))
                    threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(streams.DEADLINE_S)
            for line in lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(streams.DEADLINE_S)


# --- a client that pauses ---

PAUSE_S = 2.5

# More than all sockets on the way hold, which was 4 MB.
PAST_SOCKETS_BYTES = 8 << 20


def sends_without_end(line: socket.socket) -> None:
    """Events as fast as they are taken."""
    line.recv(65_536)
    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    event = b"data: " + b"x" * 65_536 + b"\n\n"
    while True:
        line.sendall(b"%x\r\n%b\r\n" % (len(event), event))


def cuts_a_client_that_pauses(kind: str, text: str) -> bool:
    """Whether who stops reading for a moment does not get the rest."""
    with (
        origin(sends_without_end) as port,
        behind(kind, text, port) as base_url,
        closing(connect(base_url, streams.DEADLINE_S)) as line,
    ):
        streams.send(line)
        received = len(streams.piece(line))
        time.sleep(PAUSE_S)
        while received < PAST_SOCKETS_BYTES and (more := line.recv(1 << 20)):
            received += len(more)
        return received < PAST_SOCKETS_BYTES


# --- a connection that the origin closes as it is used ---


def resets_a_second_request(line: socket.socket) -> None:
    """Keeps the connection, until somebody uses it again."""
    line.recv(65_536)
    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    if line.recv(65_536):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def loses_a_post_on_a_kept_connection(kind: str, text: str) -> bool:
    """Whether a POST fails where a GET is sent again."""
    with origin(resets_a_second_request) as port, behind(kind, text, port) as base_url:
        posts = [ask(base_url, timeout_s=streams.DEADLINE_S).status for _ in range(3)]
    with origin(resets_a_second_request) as port, behind(kind, text, port) as base_url:
        gets = [ask(base_url, timeout_s=streams.DEADLINE_S, method="GET").status for _ in range(3)]
    assert set(gets) == {200}
    return 502 in posts


HARMS: dict[str, Harm] = {
    "NGX-KEEPALIVE-IDLE": loses_a_post_on_a_kept_connection,
    "APA-RATE-LIMIT": streams.comes_in_batches,
}
SLOW: dict[str, Harm] = {"NGX-SEND-TIMEOUT": cuts_a_client_that_pauses}


@pytest.mark.parametrize(("rule", "harm"), HARMS.items(), ids=list(HARMS))
def test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not(rule: str, harm: Harm) -> None:
    harm_of(rule, harm)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "harm"), SLOW.items(), ids=list(SLOW))
def test_what_takes_seconds_does_harm_in_the_bad_one_alone(rule: str, harm: Harm) -> None:
    harm_of(rule, harm, waits=True)


# --- a dead upstream ---

# What the good one says, and `--fix` writes, made short enough to wait for.
NO_END = {"NGX-READ-TIMEOUT-LONG": "2m", "HAP-NO-TIMEOUT-SERVER": "2m"}


@pytest.mark.slow
@pytest.mark.parametrize("rule", NO_END)
def test_only_a_limit_frees_the_client_of_a_dead_upstream_and_pings_pass_it(rule: str) -> None:
    case = CASES[rule]
    assert NO_END[rule] in case.good
    short = case.good.replace(NO_END[rule], "2s")
    # In nginx's, nothing is written: whether there are pings cannot be seen from there.
    after = fixed(case).replace("120s", "2s") if is_fixed(rule) else short
    assert streams.at_once(
        lambda: streams.cuts_a_silence(case.kind, case.bad),
        lambda: streams.cuts_a_silence(case.kind, short),
        lambda: streams.cuts_a_silence(case.kind, after),
        lambda: streams.cuts_a_lively_stream(case.kind, short),
    ) == [False, True, True, False]


# --- Caddy, by version ---


@pytest.mark.slow
def test_caddy_sends_a_post_again_only_where_it_has_kept_the_prompt() -> None:
    case, kept = CASES["CAD-RETRY-POST"], "\t\trequest_buffers 1MB\n"
    assert kept in case.bad
    assert streams.asks_twice("caddy 2.11", case.bad)
    assert not streams.asks_twice("caddy 2.11", case.good)
    assert not streams.asks_twice("caddy 2.11", case.bad.replace(kept, ""))
    if program_version("caddy") < (2, 7):
        assert not streams.asks_twice("caddy", case.bad.replace(kept, ""))
        # The same by its name of those days.
        assert not streams.asks_twice("caddy", case.bad.replace(kept, "\t\tbuffer_requests\n"))


@pytest.mark.slow
def test_caddy_hides_a_cut_in_old_versions_alone() -> None:
    text = CASES["CAD-SILENT"].bad
    assert streams.hides_a_cut("caddy", text) is (program_version("caddy") < (2, 8))
    assert not streams.hides_a_cut("caddy 2.11", text)


# --- Envoy: a line that does nothing for a stream ---

CLUSTER_IDLE = """\
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          common_http_protocol_options: {idle_timeout: 1s}
          explicit_http_config: {http_protocol_options: {}}
      load_assignment:
"""


@pytest.mark.slow
def test_the_idle_timeout_of_a_cluster_cuts_no_stream() -> None:
    assert RIGHT.count("      load_assignment:\n") == 1
    text = RIGHT.replace("      load_assignment:\n", CLUSTER_IDLE)
    found = run.check(Source("envoy.yaml", text), Assumptions()).findings
    assert [finding.rule.id for finding in found] == ["ENV-NOOP-CLUSTER-IDLE"]
    questions = [lambda text=text: streams.cuts_a_silence("envoy", text) for text in (text, RIGHT)]
    assert streams.at_once(*questions) == [False, False]


# --- Apache: a graceful stop ---

# It asks its processes to end at the limit, and kills them nine seconds later.
GRACE_S, KILLED_S = 1, 14.0


def is_cut_after_a_graceful_stop(text: str) -> bool:
    """Whether a stream that pings ends, some time after the signal."""
    with (
        FaultServer("always pings-only@event=5 every=0.5") as faults,
        behind_process("apache", text, faults.port) as (base_url, process),
        closing(connect(base_url, streams.DEADLINE_S)) as line,
    ):
        streams.send(line)
        received = b""
        while received.count(b"event: ") < 5:
            received += streams.piece(line)
        process.send_signal(signal.SIGWINCH)
        until = time.monotonic() + KILLED_S
        while time.monotonic() < until and (more := line.recv(65_536)):
            received += more
        return time.monotonic() < until and not received.endswith(b"0\r\n\r\n")


@pytest.mark.slow
def test_a_graceful_stop_of_apache_cuts_streams_only_with_a_limit() -> None:
    case = CASES["APA-GRACEFUL"]
    bad = case.bad.replace("GracefulShutdownTimeout 10", f"GracefulShutdownTimeout {GRACE_S}")
    assert bad != case.bad
    assert streams.at_once(
        lambda: is_cut_after_a_graceful_stop(bad), lambda: is_cut_after_a_graceful_stop(case.good)
    ) == [
        True,
        False,
    ]
