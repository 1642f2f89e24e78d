"""The API is asked with a key, and the key is in one header and nowhere else."""

import asyncio
from collections.abc import Callable

import pytest

from midstream.doctor.probe.keyed import Keyed
from midstream.doctor.probe.onesided import OneSided, judge, report
from midstream.doctor.probe.road import target
from midstream.faults.server import FaultServer
from tests.doctor.behind import behind

pytestmark = pytest.mark.sockets

ONE_BUFFER = "location / { proxy_pass http://127.0.0.1:8100; proxy_buffer_size 64k; proxy_buffers 8 64k; }"
BY_DEFAULT = "location / { proxy_pass http://127.0.0.1:8100; }"

KEY = "sk-ant-api03-secret-secret"


def seen(url: str, progress: Callable[[str], None] = lambda _: None) -> OneSided:
    keyed = Keyed(target(f"{url}/v1/messages"), KEY, quick=True)
    assert KEY not in repr(keyed)
    return asyncio.run(keyed.probe(progress))


def test_a_service_that_streams_is_healthy_from_one_side() -> None:
    said: list[str] = []
    with FaultServer(pace_s=0.02) as server:
        found = seen(server.url, said.append)
    assert judge(found)[0] == () and len(found.replies) == 2 and found.replies[0].ended_well
    assert found.bodies[0].came and KEY not in str(report(found, server.url)) + "".join(said)


def test_where_nobody_is_it_is_said_once_and_nothing_more_is_asked() -> None:
    found = seen("http://127.0.0.1:1")
    assert len(found.replies) == 1 and found.bodies == ()
    (finding,) = judge(found)[0]
    assert finding.title.endswith(": no connection to 127.0.0.1:1: Connection refused")


@pytest.mark.slow
@pytest.mark.parametrize("text", [ONE_BUFFER, BY_DEFAULT])
def test_a_proxy_that_holds_back_and_refuses_large_questions_is_seen_from_one_side(text: str) -> None:
    with (
        FaultServer(pace_s=0.02) as server,
        behind("nginx", text, server.port) as url,
    ):
        findings, fits = judge(seen(url))
    assert [finding.id for finding in findings] == ["PROBE-BUFFERED", "PROBE-BODY"]
    assert [fit.family for fit in fits] == ["nginx"]
