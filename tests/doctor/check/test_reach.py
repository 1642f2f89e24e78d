"""Whether the API answers is told by how it refuses."""

import asyncio

import pytest

from midstream.doctor.check.reach import reach
from midstream.doctor.probe.road import Target, target
from midstream.faults.server import FaultServer
from tests.doctor.probe import answers

pytestmark = pytest.mark.sockets


def test_the_api_is_known_by_its_refusal() -> None:
    with FaultServer() as server:
        told, findings = asyncio.run(reach(target(f"{server.url}/v1/messages")))
    assert findings == () and told["is the API"] == "yes" and told["answers"].startswith("HTTP 4")


@pytest.mark.parametrize("body", [b"<html>login</html>", b"[1]", b'{"error": "no"}', b"[" * 60_000])
def test_somebody_else_is_not_the_api(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def run() -> list[str]:
        async with answers.serving(answers.http1(head + body)) as port:
            _, findings = await reach(Target(False, "127.0.0.1", port, "/v1/messages"))
            return [finding.id for finding in findings]

    assert asyncio.run(run()) == ["CHECK-NOT-API"]


def test_nobody_is_not_reached() -> None:
    told, findings = asyncio.run(reach(target("http://127.0.0.1:1/v1/messages")))
    assert [finding.id for finding in findings] == ["CHECK-REACH"] and "no connection" in told["answers"]
