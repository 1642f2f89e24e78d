"""That the gateway's bench runs, and measures what was played; how fast anybody is, is not for a test."""

import socket
import time
from pathlib import Path

import pytest

from bench.gateway import clients, measure, player, servers, table
from bench.gateway.contest import FULL, LITELLM, MEMORY, NGINX, RELAXED, Figures, Sync
from bench.gateway.measure import Late, Load, Subject
from bench.gateway.played import EVENT_BYTES, MARK, PLAIN, REQUEST, STAMP_DIGITS, stamped, stamps
from bench.gateway.servers import Running
from bench.gateway_load.process import beside

pytestmark = pytest.mark.slow


def figures(us: float = 10.0, litellm_us: float = 100.0, idle_bytes: float = 1024.0, late_ms: float = 0.1) -> Figures:
    """Of a run in which nginx needs 10 µs."""
    costs = {NGINX: 10.0, LITELLM: litellm_us, MEMORY: us, RELAXED: us, FULL: us}
    late = Late(late_ms, late_ms, 0.0, 0.0)
    return Figures(
        versions={NGINX: "nginx 1.2.3"},
        loads={name: [Load(cost, 100.0, 100.0, 0.1, False, 100.0)] for name, cost in costs.items()},
        idle_bytes={name: [idle_bytes] for name in (NGINX, MEMORY, RELAXED, FULL)},
        lates={name: [late] for name in (NGINX, MEMORY, RELAXED, FULL)},
        syncs=[Sync(1.0, 2.0)],
    )


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (figures(), set()),
        (figures(us=12.4), set()),
        (figures(us=12.6), {"CPU for each event: " + MEMORY}),
        (figures(us=14.1), {"CPU for each event: " + MEMORY, "CPU for each event: " + FULL}),
        (figures(litellm_us=59.0), {"events for each core: " + FULL}),
        (figures(idle_bytes=8193.0), {f"memory for each silent stream: {name}" for name in (MEMORY, FULL)}),
        (figures(late_ms=0.6), {"added latency, p99: " + RELAXED}),
        (figures(late_ms=13.1), {f"added latency, p99: {name}" for name in (RELAXED, FULL)}),
    ],
)
def test_each_requirement_can_be_missed_by_itself(found: Figures, missed: set[str]) -> None:
    assert {row.what for row in table.rows(found) if row.holds is False} == missed


def test_the_table_is_written_where_the_last_one_stood(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}old\n{table.END}after\n")
    table.write(figures(), page)
    text = page.read_text()
    assert text.startswith(f"before\n{table.BEGIN}") and text.endswith(f"{table.END}after\n") and "old" not in text
    assert table.markdown(figures()) in text and "nginx 1.2.3" in text


def test_the_page_has_a_place_for_the_table() -> None:
    text = table.PAGE.read_text()
    assert text.index(table.BEGIN) < text.index(table.END)


def test_an_event_has_one_size_and_carries_the_time_it_left() -> None:
    now = time.monotonic_ns()
    assert len(PLAIN) == len(stamped(now)) and PLAIN.count(MARK) == 1
    assert f"{EVENT_BYTES:x}".encode() == PLAIN.partition(b"\r\n")[0]
    assert stamps(stamped(now) + PLAIN + stamped(7)) == [now, 7] and len(str(now)) <= STAMP_DIGITS


def test_what_the_player_sends_is_what_the_clients_count() -> None:
    with beside(player.play) as service, beside(clients.read, (service.recv(),), 20) as crowd:
        assert crowd.recv() == 20
        service.send((1000.0, False))
        service.recv()
        time.sleep(1.0)
        service.send((0.0, False))  # no more
        played = service.recv()
        time.sleep(0.5)
        crowd.send(False)
        seen = crowd.recv()
    assert seen.events == played > 0 and not seen.lost and seen.reads <= seen.events


def test_the_cpu_of_a_server_is_that_of_all_its_processes_and_a_gateway_delivers_what_is_played() -> None:
    subject = Subject("ours", lambda port, folder: servers.gateway("--journal", "memory", upstream=port), "", 20, 500.0)
    load = measure.load(subject, 1.0)
    assert load.us > 0 and 0 < load.cores < 2 and load.per_s > 0 and load.rate == 500.0
    late = measure.late(subject, 5, 200.0, 1.0)
    assert 0 < late.direct_p50_ms <= late.direct_p99_ms and 0 < late.p50_ms <= late.p99_ms
    assert measure.idle_bytes(subject, 100) > 0


def test_a_family_is_found_with_its_children() -> None:
    with beside(player.play) as service:
        port = service.recv()
        with servers.gateway("--journal", "memory", upstream=port) as running:
            assert servers.family(running.pid)[0] == running.pid
            assert servers.cpu_s(Running(running.pid, 0)) > 0 and servers.rss_bytes(Running(running.pid, 0)) > 1 << 20
            with socket.create_connection(("127.0.0.1", running.port), timeout=5) as client:
                client.sendall(REQUEST)
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
