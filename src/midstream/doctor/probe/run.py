"""The two-ended probe: which questions are asked, beside which others, and again when something looked ill.

Rule: it decides nothing about the path; it asks until there is enough for a verdict.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from midstream.doctor.probe import delivery, limits, questions
from midstream.doctor.probe.asking import Asking, NoFarEnd
from midstream.doctor.probe.compare import Seen
from midstream.doctor.probe.heard import Heard, Protocol
from midstream.doctor.probe.observations import Observations, Passed
from midstream.doctor.probe.pulse import Pulse, beating
from midstream.doctor.probe.questions import Question
from midstream.faults.probe_words import Hello

# Three times is often enough to call a path ill.
LOOKS_MAX = 3

# A machine that is busy all the time is not waited for.
BUSY_LOOKS_MAX = 6

# What is this many times later than the machine itself was late is the path's.
OWN_SHARE = 4.0

# What shorter silences are tried, when the longest was lost without a sign: between the limits that are usual.
LADDER_S = (5.0, 12.0, 20.0, 27.0, 40.0, 57.0, 70.0, 90.0, 110.0, 150.0, 230.0, 290.0, 340.0, 500.0, 800.0)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked."""

    up_to_s: float = 130.0
    http2: bool = True
    quick: bool = False
    """Leave out the questions of megabytes, and a second search."""

    @property
    def bodies(self) -> tuple[int, ...]:
        return questions.BODY_BYTES[:1] if self.quick else questions.BODY_BYTES


Progress = Callable[[str], None]
"""Told in a few words what is being done, and what is done."""


@dataclass
class _Run:
    asking: Asking
    plan: Plan
    progress: Progress
    pulse: Pulse
    protocols: tuple[Protocol, ...] = ("http/1.1",)
    long: list["asyncio.Task[Any]"] = field(default_factory=list)

    def begin(self, coroutine: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        task = asyncio.create_task(coroutine)
        self.long.append(task)
        return task

    async def over_each(self, *asked: Question) -> tuple[Seen, ...]:
        """Each question over each version of HTTP, all at once."""
        every = [question.over(protocol) for question in asked for protocol in self.protocols]
        return tuple(await asyncio.gather(*(self.asking.ask(question) for question in every)))

    async def looked_at(
        self, question: Question, is_ill: Callable[[Seen], bool], but: Collection[Protocol] = ()
    ) -> tuple[Seen, ...]:
        """The question over each version of HTTP, one after the other; again where it looks ill."""
        loop, found = asyncio.get_running_loop(), list[Seen]()
        for protocol in (each for each in self.protocols if each not in but):
            looks = 0
            for _ in range(BUSY_LOOKS_MAX):
                begun_at = loop.time()
                each = await self.asking.ask(question.over(protocol))
                ill = is_ill(each)
                if ill and delivery.typical_s(each) < OWN_SHARE * self.pulse.typical_s(begun_at):
                    continue  # No later than this machine itself was: it says nothing about the path.
                found.append(each)
                looks += 1
                if not ill or looks == LOOKS_MAX:
                    break
        return tuple(found)


async def probe(asking: Asking, plan: Plan, progress: Progress = lambda _: None) -> Observations:
    """Everything about one path. Raises `NoFarEnd`."""
    hello, heard = await asking.hello()
    async with beating() as pulse:
        return await _probe(_Run(asking, plan, progress, pulse), hello, heard)


async def _probe(run: _Run, hello: Hello, heard: Heard) -> Observations:
    asking, plan, progress = run.asking, run.plan, run.progress
    if plan.http2:
        run.protocols = await _protocols(asking)
    progress(f"a far end answers, over {' and '.join(run.protocols)}")
    try:
        begun = Observations(asking.to.authority, plan.up_to_s, hello, tuple(heard.headers), run.protocols)
        return await _asked(run, begun)
    finally:
        for task in run.long:
            task.cancel()
        await asyncio.gather(*run.long, return_exceptions=True)


async def _protocols(asking: Asking) -> tuple[Protocol, ...]:
    try:
        await asking.hello("h2")
    except NoFarEnd:
        return ("http/1.1",)
    return ("http/1.1", "h2")


async def _asked(run: _Run, begun: Observations) -> Observations:
    ask, up_to_s = run.asking.ask, run.plan.up_to_s
    silences = run.begin(run.over_each(questions.silence(up_to_s)))
    pings = run.begin(ask(questions.pings(up_to_s)))
    flow = run.begin(ask(questions.flow(up_to_s)))
    before = run.begin(ask(questions.before(up_to_s)))
    leaving = run.begin(ask(questions.LEAVE))
    run.progress(f"asked for {up_to_s:g} s of silence, of pings, of events, and of nothing before the headers")
    plain = await run.looked_at(questions.DELIVERY, delivery.is_late)
    # Where plain events come late already, a tail could not show a cause of its own.
    late = {protocol for protocol in run.protocols if delivery.looks_late(plain, protocol)}
    packed = await run.looked_at(
        questions.DELIVERY_PACKED, lambda each: each.protocol not in late and delivery.is_late(each)
    )
    tails = await run.looked_at(questions.TAIL, delivery.tail_waits, late)
    hinted = await ask(questions.DELIVERY_HINTED) if "http/1.1" in late else None
    run.progress("delivery is measured")
    cuts = await run.over_each(questions.CUT_FIN, questions.CUT_RST)
    heads = await asyncio.gather(*(run.asking.size(questions.head(size)) for size in questions.HEAD_BYTES))
    bodies = await _bodies(run)
    run.progress("cuts and sizes are measured; the long questions are still open")
    seen = replace(
        begun,
        delivery=plain,
        packed=packed,
        hinted=hinted,
        tails=tails,
        cuts=cuts,
        silences=await silences,
        pings=await pings,
        flow=await flow,
        before=await before,
        leaving=await leaving,
        bodies=bodies,
        heads=tuple(heads),
        late_s=run.pulse.worst_s(),
    )
    return await _with_ladder(run, seen)


async def _bodies(run: _Run) -> tuple[Passed, ...]:
    """From the smallest up, until one does not come."""
    found: list[Passed] = []
    for size in run.plan.bodies:
        found.append(await run.asking.size(questions.body(size)))
        if not found[-1].came:
            break
    return tuple(found)


async def _with_ladder(run: _Run, seen: Observations) -> Observations:
    """Where the longest silence was lost without a sign, shorter ones say from which length on."""
    if run.plan.quick or not any(limits.is_lost(each) for each in seen.silences):
        return seen
    steps = [seconds for seconds in LADDER_S if seconds < run.plan.up_to_s]
    run.progress("what came after the silence was lost without a sign; trying shorter ones")
    found = await asyncio.gather(*(run.asking.ask(questions.silence(seconds)) for seconds in steps))
    return replace(seen, ladder=tuple(zip(steps, found, strict=True)))
