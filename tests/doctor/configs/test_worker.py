"""The Cloudflare Worker in workerd: it hands on at once, pings, answers early, and no cut stream ends cleanly."""

import json
from contextlib import closing

import pytest

from midstream.faults.server import FaultServer
from tests.doctor import streams
from tests.doctor.worker import worker
from tests.faults.raw import ask, connect, events_of

pytestmark = [pytest.mark.sockets]

DEADLINE_S = 20.0


def types_of(body: bytes) -> list[str]:
    return [str(event.get("type")) for event in events_of(body)]


def test_a_whole_reply_comes_as_it_is() -> None:
    with FaultServer() as faults, worker(faults.port) as base_url:
        straight, through = (ask(url, timeout_s=DEADLINE_S) for url in (faults.url, base_url))
    assert through.complete and through.body == straight.body
    assert "cache-control: no-cache, no-transform" in through.head


@pytest.mark.parametrize("script", ["cut-clean@event=12", "cut-fin@event=12", "cut-rst@event=12", "no-message-stop"])
def test_a_cut_stream_ends_with_an_error_and_in_broken_framing(script: str) -> None:
    with FaultServer(f"always {script}", pace_s=0.01) as faults, worker(faults.port) as base_url:
        answer = ask(base_url, timeout_s=DEADLINE_S)
    assert types_of(answer.body)[-1] == "error" and not streams.looks_whole(answer)


def test_an_error_of_the_upstream_is_an_end() -> None:
    with FaultServer("always overloaded_error@event=12") as faults, worker(faults.port) as base_url:
        answer = ask(base_url, timeout_s=DEADLINE_S)
    assert types_of(answer.body)[-1] == "error" and answer.complete


def test_events_go_on_at_once_and_pings_fill_a_silence() -> None:
    with FaultServer("always silence@event=12") as faults, worker(faults.port, ping_ms=300) as base_url:
        answer = ask(base_url, timeout_s=DEADLINE_S, total_s=3.0)
    types = types_of(answer.body)
    assert answer.end == "timeout" and types[0] == "message_start"
    assert types.count("ping") >= 3 and types[-1] == "ping"


def test_no_ping_stands_inside_of_an_event() -> None:
    with FaultServer("always silence@event=12+20") as faults, worker(faults.port, ping_ms=200) as base_url:
        straight, through = (ask(url, timeout_s=1.5, total_s=2.0) for url in (faults.url, base_url))
    assert through.end == "timeout" and through.body == straight.body


def test_an_upstream_that_is_slow_to_answer_is_answered_for() -> None:
    with FaultServer("always silent-early") as faults, worker(faults.port, 300, early_ms=300) as base_url:
        answer = ask(base_url, timeout_s=DEADLINE_S, total_s=3.0)
    assert answer.status == 200 and answer.end == "timeout"
    assert set(types_of(answer.body)) == {"ping"}


def test_errors_before_the_stream_keep_their_status() -> None:
    with FaultServer("always 529") as faults, worker(faults.port) as base_url:
        answer = ask(base_url, timeout_s=DEADLINE_S)
    assert answer.status == 529 and b"overloaded_error" in answer.body


def test_an_upstream_that_is_not_there_is_an_error_of_the_api() -> None:
    with worker(1) as base_url:
        answer = ask(base_url, timeout_s=DEADLINE_S)
    assert answer.status == 502 and json.loads(answer.body)["error"]["type"] == "api_error"


def test_the_upstream_is_told_when_the_client_leaves() -> None:
    # It notices when it next writes: at the next ping.
    with FaultServer("always silence@event=12") as faults, worker(faults.port, ping_ms=500) as base_url:
        with closing(connect(base_url, DEADLINE_S)) as line:
            streams.send(line)
            received = b""
            while received.count(b"event: ") < 12:
                received += line.recv(65_536)
        assert streams.within(DEADLINE_S, lambda: faults.open_connections == 0)
