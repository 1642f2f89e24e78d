"""When to kill: at any moment, or at one that is known to be delicate.

Rule: a moment is waited for from outside, by what clients and the upstream see; the gateway does not know of it.
"""

import asyncio
from dataclasses import dataclass
from random import Random

from bench.crash.gateway import Gateway, wait_for_writes

MOMENTS = {
    "any": 4,
    "journal write": 5,
    "before any frame": 2,
    "first frame": 2,
    "resume request": 3,
    "seam hold": 3,
    "coming back": 2,
    "adoption": 3,
    "ending": 1,
}
"""How often each is drawn, of their sum."""

WITHIN_S = 4.0
"""What does not come within this time is waited for no longer: the kill comes anyway, and counts as of any moment."""


@dataclass(frozen=True)
class Rung:
    """Something that happened, with what is known of it."""

    hold_s: float = 0.0


class Bells:
    """What a moment waits for."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Rung]] = {}

    def ring(self, what: str, rung: Rung | None = None) -> None:
        """It happened."""
        future = self._waiting.pop(what, None)
        if future is not None and not future.done():
            future.set_result(rung or Rung())

    async def heard(self, what: str) -> Rung | None:
        """Waits for it; ``None`` where it does not come."""
        self._waiting[what] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(self._waiting[what], WITHIN_S)
        except TimeoutError:
            return None


@dataclass(frozen=True)
class Aim:
    """What one kind of moment is waited for by, and how long after it the kill comes at most."""

    bell: str
    after_s: float


AIMS = {
    "before any frame": Aim("first attempt", 0.020),
    "first frame": Aim("first frame", 0.002),
    "resume request": Aim("resume", 0.030),
    "seam hold": Aim("seam", 0.0),
    "coming back": Aim("came back", 0.030),
    "ending": Aim("ending", 0.004),
}


async def kill_at(moment: str, gateway: Gateway, bells: Bells, dice: Random) -> str:
    """Kills the gateway at such a moment; returns what moment it was."""
    await asyncio.sleep(dice.uniform(0.0, 0.5))
    if moment in ("journal write", "adoption"):
        return await write_and_kill(moment, gateway, dice, most=40)
    aim = AIMS.get(moment)
    if aim is None:
        await asyncio.sleep(dice.uniform(0.0, 1.0))
    elif (rung := await bells.heard(aim.bell)) is None:
        moment = "any"
    else:
        await asyncio.sleep(dice.uniform(0.1, 0.9) * rung.hold_s if rung.hold_s else dice.uniform(0.0, aim.after_s))
    gateway.kill()
    return moment


async def write_and_kill(moment: str, gateway: Gateway, dice: Random, *, most: int) -> str:
    """Kills it at a write to the log of its journal, in the midst of the transaction that the write belongs to."""
    count, log = dice.randint(1, most), gateway.journal.with_name(gateway.journal.name + "-wal")

    def wait() -> bool:
        seen = wait_for_writes(log, count, WITHIN_S)
        gateway.kill()
        return seen

    return moment if await asyncio.to_thread(wait) else "any"


def draw(dice: Random) -> str:
    """The next moment."""
    return dice.choices(list(MOMENTS), list(MOMENTS.values()))[0]
