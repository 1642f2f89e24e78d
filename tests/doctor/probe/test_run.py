"""A whole probe, of a path with nothing on it, and of one that loses what comes after a silence."""

import asyncio
from contextlib import suppress

import pytest

from midstream.doctor.probe.asking import Asking, NoFarEnd
from midstream.doctor.probe.observations import Observations
from midstream.doctor.probe.road import target
from midstream.doctor.probe.run import Plan, probe
from midstream.doctor.probe.verdicts import judge
from midstream.faults.probe import FarEnd
from tests.doctor.probe import answers

pytestmark = pytest.mark.sockets

QUICK = Plan(4.0, quick=True)


def test_a_path_with_nothing_on_it_is_healthy_and_everything_was_asked() -> None:
    said: list[str] = []
    with FarEnd() as far_end:
        observed = asyncio.run(probe(Asking(target(far_end.url)), QUICK, said.append))
    judged = judge(observed)
    # A machine that is busy may be slow to notice that somebody left.
    assert {finding.id for finding in judged.findings} <= {"PROBE-LEAVING"} and judged.fits == ()
    assert judged.leaving in ("at once", "when it writes")
    assert observed.protocols == ("http/1.1",) and len(observed.cuts) == 2 and observed.pings is not None
    assert observed.hinted is None and observed.ladder == () and len(said) >= 3


def test_where_there_is_no_far_end_nothing_is_probed() -> None:
    with pytest.raises(NoFarEnd):
        asyncio.run(probe(Asking(target("http://127.0.0.1:1")), QUICK))


# A box that forgets a connection after so much silence, and tells nobody.
FORGETS_S = 2.0


def forgetful(port: int) -> answers.Serve:
    """Carries bytes to the port and back, until there was a silence."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoke: list[float]) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if spoke and loop.time() - spoke[0] > FORGETS_S:
                    await asyncio.sleep(60)
                spoke[:] = [loop.time()]
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        spoke: list[float] = []
        try:
            await asyncio.gather(carry(reader, there_writer, spoke), carry(there_reader, writer, spoke))
        finally:
            there_writer.close()

    return serve


def test_a_connection_that_is_forgotten_without_a_sign_is_found_and_nothing_else_is_called_ill() -> None:
    async def run(far_end: FarEnd) -> Observations:
        async with answers.serving(forgetful(far_end.port)) as port:
            return await probe(Asking(target(f"http://127.0.0.1:{port}"), margin_s=2.0), QUICK)

    with FarEnd() as far_end:
        judged = judge(asyncio.run(run(far_end)))
    assert judged.limits.lost_from_s == 4.0
    assert [finding.id for finding in judged.findings] == ["PROBE-DROPPED"]
