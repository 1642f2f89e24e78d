"""A whole gateway in this process, in front of a fault server: real sockets, a real journal, no subprocess."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from midstream.faults.reply import Reply
from midstream.faults.script import Script
from midstream.faults.server import FaultServer
from midstream.gateway.config import Settings
from midstream.gateway.main import Gateway
from midstream.gateway.schema import Address
from midstream.recovery.policy import Policy

DEADLINE_S = 60.0
"""Against hanging; nothing here takes seconds."""

QUICK = Policy(
    backoff_s=(0.001, 0.01), first_event_s=2.0, silence_s=2.0, silence_after_pings_s=2.0, progress_s=3.0,
    progress_slow_s=3.0,
)  # fmt: skip
"""A policy under which faults show within seconds."""


@dataclass
class Standing:
    """A gateway that runs, and what stands behind it."""

    gateway: Gateway
    faults: FaultServer
    url: str


def settings(*upstreams: str, journal: Path | None = None, **changes: Any) -> Settings:
    """Settings for tests: any free port, no second port, nothing on stderr."""
    plain = Settings(
        listen=Address("127.0.0.1", 0),
        control_listen=None,
        upstream=upstreams,
        journal=journal,
        log="off",
        policy=QUICK,
        drain_s=0.0,
    )
    return msgspec.structs.replace(plain, **changes)


@asynccontextmanager
async def standing(
    script: str = "ok",
    reply: Reply | None = None,
    journal: Path | None = None,
    pace_s: float = 0.0,
    environ: dict[str, str] | None = None,
    **changes: Any,
) -> AsyncIterator[Standing]:
    """A gateway in front of a fault server that plays this script."""
    async with FaultServer(Script.parse(script), reply, pace_s=pace_s) as faults:
        gateway = Gateway.build(settings(faults.url, journal=journal, **changes), environ or {})
        try:
            await gateway.start()
            yield Standing(gateway, faults, f"http://127.0.0.1:{gateway.port}")
        finally:
            await gateway.aclose()


def run(story: Callable[[], Coroutine[Any, Any, None]], deadline_s: float = DEADLINE_S) -> None:
    """Runs a story on an event loop of its own, not for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(deadline_s):
            await story()

    asyncio.run(bounded())
