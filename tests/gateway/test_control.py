"""The second port, over real sockets: what it answers, to whom, and that it holds no secret."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from midstream.gateway.control import STREAMS_MAX, Control
from midstream.gateway.metrics import Metrics
from midstream.gateway.schema import Address, SettingsError
from midstream.gateway.view import StreamView
from midstream.journal.port import Health
from tests.gateway.test_view import Told

pytestmark = pytest.mark.sockets

LOOPBACK = Address("127.0.0.1", 0)


def stream(number: int) -> StreamView:
    return StreamView(f"id{number}", float(number), "anthropic", 2, "showing", 1, 7, 100)


async def ask(
    address: Address, path: str, method: str = "GET", host: str | None = None, body: str = ""
) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
    named = "" if host == "" else f"Host: {host or address}\r\n"
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    writer.write(f"{method} {path} HTTP/1.1\r\n{named}{length}Connection: close\r\n\r\n{body}".encode())
    head, _, content = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    first, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return int(first.split()[1]), headers, content


def served(view: Told, story: Callable[[Address], Awaitable[Any]], listen: Address = LOOPBACK) -> Any:
    """What the story finds at a second port that tells of the view."""

    async def run() -> Any:
        metrics = Metrics(["anthropic"])
        metrics.watch(view)
        control = Control(view, metrics, listen)
        address = await control.start()
        try:
            return await story(address)
        finally:
            await control.aclose()
            await control.aclose()

    return asyncio.run(run())


PATHS = ["/healthz", "/readyz", "/metrics", "/streams"]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_answers_get_and_head_and_nothing_else(path: str) -> None:
    async def story(address: Address) -> None:
        status, headers, content = await ask(address, path)
        assert status == 200 and content
        assert headers["cache-control"] == "no-store" and headers["server"] == "midstream"
        status, headers, content = await ask(address, path, "HEAD")
        assert (status, content) == (200, b"")
        for method in ("POST", "DELETE"):
            assert (await ask(address, path, method))[0] == 405

    served(Told(), story)


def test_it_is_alive_also_when_it_is_not_ready() -> None:
    view = Told(draining=True, health=Health(ok=False, detail="the disk is full"), states={"anthropic": "open"})

    async def story(address: Address) -> tuple[Any, Any]:
        return await ask(address, "/healthz"), await ask(address, "/readyz")

    health, ready = served(view, story)
    assert health[0] == 200 and json.loads(health[2]) == {"status": "ok"}
    assert ready[0] == 503
    assert json.loads(ready[2]) == {
        "status": "not ready",
        "reasons": [
            "the gateway is draining",
            "the journal fails: the disk is full",
            "no upstream answers: anthropic",
        ],
    }


def test_it_is_ready_when_nothing_speaks_against_it() -> None:
    status, _, content = served(Told(), lambda address: ask(address, "/readyz"))
    assert (status, json.loads(content)) == (200, {"status": "ready", "reasons": []})


def test_the_running_streams_are_told_without_contents() -> None:
    _, headers, content = served(Told(running=[stream(1), stream(2)]), lambda address: ask(address, "/streams"))
    assert headers["content-type"].startswith("application/json")
    row = {"upstream": "anthropic", "attempts": 2, "state": "showing", "readers": 1, "offset": 7, "size_bytes": 100}
    assert json.loads(content) == {
        "total": 2,
        "streams": [{"id": "id2", "age_s": 2.0, **row}, {"id": "id1", "age_s": 1.0, **row}],
    }


def test_of_very_many_streams_the_oldest_are_told() -> None:
    running = [stream(number) for number in range(STREAMS_MAX + 5)]
    told = json.loads(served(Told(running=running), lambda address: ask(address, "/streams"))[2])
    assert told["total"] == STREAMS_MAX + 5
    assert {row["id"] for row in told["streams"]} == {f"id{number}" for number in range(5, STREAMS_MAX + 5)}


def test_the_metrics_are_what_prometheus_reads() -> None:
    _, headers, content = served(Told(), lambda address: ask(address, "/metrics"))
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name for family in text_string_to_metric_families(content.decode())}
    assert {"midstream_streams_open", "midstream_journal_ok", "midstream_breaker_state"} < families


HOSTS = [
    (None, 200),
    ("localhost", 200),
    ("localhost:8101", 200),
    ("10.0.0.1:8101", 200),
    ("[::1]:8101", 200),
    ("evil.example", 403),
    ("evil.example:8101", 403),
    ("localhost.evil.example", 403),
    ("[evil", 403),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_a_page_in_a_browser_cannot_read_a_loopback_port_by_a_name_of_its_own(host: str | None, status: int) -> None:
    for path in PATHS:
        assert served(Told(), lambda address, path=path: ask(address, path, host=host))[0] == status


def test_an_address_that_others_reach_answers_by_any_name() -> None:
    found = served(Told(), lambda address: ask(address, "/healthz", host="a.name"), Address("0.0.0.0", 0))
    assert found[0] == 200


def test_paths_that_are_not_there_and_large_bodies_change_nothing() -> None:
    async def story(address: Address) -> None:
        for path in ("/", "/streams/id1", "/../etc/passwd", "/metrics/..%2f..%2f", "//healthz"):
            assert (await ask(address, path))[0] == 404
        assert (await ask(address, "/healthz", body="x" * 100_000))[0] == 200
        assert (await ask(address, "/healthz"))[0] == 200

    served(Told(running=[stream(1)]), story)


def test_an_address_that_is_taken_is_one_sentence() -> None:
    async def story(address: Address) -> str:
        with pytest.raises(SettingsError) as told:
            await Control(Told(), Metrics([]), address).start("MIDSTREAM_CONTROL_LISTEN")
        return str(told.value).replace(str(address.port), "PORT")

    assert served(Told(), story) == (
        "MIDSTREAM_CONTROL_LISTEN 127.0.0.1:PORT cannot be listened at: address already in use; give another one"
    )
