"""A machine that is busy is known to be."""

import asyncio
import time

from midstream.doctor.probe.pulse import beating


def test_a_loop_that_is_held_up_is_late() -> None:
    async def run() -> tuple[float, float, float]:
        async with beating() as pulse:
            for _ in range(4):
                await asyncio.sleep(0.02)
                time.sleep(0.15)
            since = asyncio.get_running_loop().time()
            return pulse.typical_s(0.0), pulse.worst_s(), pulse.typical_s(since)

    typical_s, worst_s, later_s = asyncio.run(run())
    assert worst_s >= typical_s >= 0.05 and worst_s >= 0.1 and later_s == 0.0
