"""Every template is filled for every upstream, passes the lint, and lets streams through the real proxy."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from midstream.doctor.configs.templates import KINDS, Kind, NotServable, Wanted, filled
from midstream.doctor.lint import run
from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.source import Source
from midstream.faults.server import FaultServer
from tests.doctor import streams
from tests.doctor.behind import PROGRAMS, behind
from tests.faults.raw import ask, events_of
from tests.gateway.http import authority
from tests.proxies.programs import require, version

EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)

# What takes seconds is done in two proxies by `make test`, and in all by `make test-slow`.
FAST = ("nginx", "haproxy")
REAL = pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in PROGRAMS]
)

# These notice that a client has left when they next write; pings see to that.
TOLD_LATE = {"apache", "lighttpd"}

# Between events it has no limit of silence at all.
ENDURING = {"traefik"}

# Caddy's is a fault of the version.
NEW = Assumptions({"caddy": (2, 11, 4)})


def incurable(name: str) -> bool:
    """Whether this is a version that no configuration cures."""
    return name == "caddy" and tuple(map(int, version("caddy").split("."))) < (2, 8)


# Shorter than the stream of the test, which pings four times in it.
IDLE_S, PING_S, STREAM_S = 2, 0.5, 4.0


@EACH
@pytest.mark.parametrize("upstream", ["http://127.0.0.1:8100", "https://api.example.com", "http://[::1]:8100/"])
def test_what_is_written_passes_its_own_lint_without_a_note(kind: Kind, upstream: str) -> None:
    if upstream.startswith("https") and not kind.tls:
        with pytest.raises(NotServable, match="does not speak TLS to its upstreams"):
            filled(kind.name, Wanted(upstream=upstream))
        return
    text = filled(kind.name, Wanted(upstream=upstream))
    assert "@@" not in text and not re.search(r"^@(tls|plain)", text, re.MULTILINE)
    if kind.lint is not None:
        assert run.check(Source("file", text), NEW, kind.lint).findings == []


def test_a_version_that_no_configuration_cures_is_named() -> None:
    text = filled("caddy", Wanted())
    assert "2.8 or later" in text
    (finding,) = run.check(Source("Caddyfile", text), Assumptions({"caddy": (2, 6, 2)})).findings
    assert (finding.rule.id, finding.severity) == ("CAD-SILENT", "error")


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(upstream="x"),
        Wanted(upstream="http://"),
        Wanted(upstream="http://h:99999"),
        Wanted(upstream="http://h:0"),
        Wanted(upstream="http://h/v1"),
        Wanted(upstream="http://user:key@h"),
        Wanted(upstream="http://h;return"),
        Wanted(upstream="http://h\n"),
        Wanted(upstream="http://" + "h" * 400),
        Wanted(listen="80;"),
        Wanted(listen="host:"),
        Wanted(listen="host:70000"),
        Wanted(listen="host:" + "9" * 5000),
    ],
    ids=lambda wanted: f"{wanted.upstream:.20} {wanted.listen:.20}",
)
def test_what_could_break_out_of_a_line_is_refused(wanted: Wanted) -> None:
    with pytest.raises(NotServable):
        filled("nginx", wanted)


def test_what_a_cloud_would_refuse_is_not_written() -> None:
    with pytest.raises(NotServable, match=r"AWS.* at most 4000 s"):
        filled("alb", Wanted(idle_s=4001))
    long = Wanted(stream_s=7200)
    assert "deregistration_delay = 3600" in filled("alb", long)
    gcp = filled("gcp", long)
    assert "connection_draining_timeout_sec = 3600" in gcp and "timeout_sec = 7200" in gcp


def test_what_is_wrong_with_an_address_is_said_without_its_password() -> None:
    with pytest.raises(NotServable, match="nothing behind them, not 'http://<hidden>@h/v1'"):
        filled("nginx", Wanted(upstream="http://user:key@h/v1"))


@EACH
def test_what_is_written_fits_a_terminal_of_140_columns(kind: Kind) -> None:
    assert max(map(len, filled(kind.name, Wanted()).split("\n"))) <= 140


CHECKS = ("nginx", "haproxy", "apache", "envoy", "caddy", "traefik")
"""Those that can be told to speak TLS to their upstreams."""

SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "@system-ca")


@contextmanager
def over_tls(*names: str) -> Iterator[int]:
    """A server whose certificate has these names, of an authority of the tests'."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Answering) as server:
        context = authority.server_context(*names, alpn=("http/1.1",))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.sockets
@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in CHECKS]
)
def test_keys_go_only_to_an_upstream_whose_certificate_is_trusted_and_has_its_name(name: str, tmp_path: Path) -> None:
    require(PROGRAMS[name].name)
    text = filled(name, Wanted(upstream="https://localhost:8100"))
    # The server of the test has no address of IPv6.
    text = text.replace("type: STRICT_DNS", "type: STRICT_DNS\n      dns_lookup_family: V4_ONLY")
    if name == "apache":
        modules = (
            f"LoadModule {each}_module /usr/lib/apache2/modules/mod_{each}.so\n" for each in ("socache_shmcb", "ssl")
        )
        text = "".join(modules) + text
    with over_tls("localhost") as port, behind(name, text, port) as base_url:
        assert ask(base_url, timeout_s=streams.DEADLINE_S).status in {500, 502, 503}
    ours = tmp_path / "ca.pem"
    ours.write_text(authority.pem())
    tmp_path.chmod(0o755)
    trusting = text
    for place in SYSTEM:
        trusting = trusting.replace(place, str(ours))
    if trusting == text:
        # Caddy and Traefik have no line for it: they take what the system trusts.
        return
    with over_tls("localhost") as port, behind(name, trusting, port) as base_url:
        assert ask(base_url, timeout_s=streams.DEADLINE_S).status == 200
    with over_tls("somebody.else") as port, behind(name, trusting, port) as base_url:
        assert ask(base_url, timeout_s=streams.DEADLINE_S).status in {500, 502, 503}


@pytest.mark.sockets
@REAL
def test_events_go_on_at_once(name: str) -> None:
    assert not streams.holds_back(name, filled(name, Wanted()))
    assert not streams.holds_back_a_large_event(name, filled(name, Wanted()))
    assert not streams.comes_in_batches(name, filled(name, Wanted()))


@pytest.mark.sockets
@REAL
@pytest.mark.parametrize("script", ["always cut-fin@event=12", "always cut-rst@event=12"])
def test_a_failure_of_the_upstream_can_be_seen(name: str, script: str) -> None:
    require(PROGRAMS[name].name)
    with (
        FaultServer(script, pace_s=0.02) as faults,
        behind(name, filled(name, Wanted()), faults.port) as base_url,
    ):
        assert streams.looks_whole(ask(base_url, timeout_s=streams.DEADLINE_S)) is incurable(name)


@pytest.mark.sockets
@REAL
def test_pings_carry_a_stream_past_the_limit_and_without_them_it_is_cut_visibly(name: str) -> None:
    text = filled(name, Wanted(idle_s=IDLE_S))
    with (
        FaultServer(f"always pings-only@event=5 every={PING_S}") as pinging,
        behind(name, text, pinging.port) as base_url,
    ):
        carried = ask(base_url, timeout_s=streams.DEADLINE_S, total_s=STREAM_S)
    assert carried.end == "timeout", "it was cut"
    pings = [event for event in events_of(carried.body) if event.get("type") == "ping"]
    assert len(pings) > IDLE_S / PING_S
    if name in ENDURING:
        assert not streams.cuts_a_silence(name, text)
        return
    with FaultServer("always silence@event=5") as silent, behind(name, text, silent.port) as base_url:
        cut = ask(base_url, timeout_s=streams.DEADLINE_S)
    assert cut.end != "timeout" and streams.looks_whole(cut) is incurable(name)


@pytest.mark.sockets
@REAL
def test_a_large_prompt_comes_through_and_a_leaving_client_is_told(name: str) -> None:
    text = filled(name, Wanted())
    assert not streams.refuses_a_large_prompt(name, text)
    assert streams.forgets_that_the_client_left(name, text) is (name in TOLD_LATE)
    assert not streams.asks_twice(name, text)
