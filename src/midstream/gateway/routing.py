"""Which upstream is asked: in order, the first one that is well.

Rule: recovery says whether a stream may move; this says where to.
"""

import asyncio
import random
import time
from collections.abc import Callable

from midstream.gateway.breaker import Breaker, State, counts
from midstream.gateway.upstreams.port import Call, Upstream
from midstream.recovery.failure import Failure, Kind
from midstream.recovery.history import AttemptRecord
from midstream.recovery.models import Memory
from midstream.recovery.policy import Policy, RetryBudget
from midstream.recovery.surroundings import Route, Surroundings

_FOLLOWS = frozenset({Kind.REJECTED, Kind.LIMIT})
"""Failures that would happen at any other upstream, too."""


class Routing:
    """What all streams share on the way to their upstreams."""

    def __init__(self, upstreams: list[Upstream], policy: Policy, breakers: list[Breaker]) -> None:
        assert len(upstreams) == len(breakers) > 0
        self.upstreams = upstreams
        self.breakers = breakers
        self._policy = policy
        self._memory = Memory()
        self._budget = RetryBudget(share=policy.retry_share, per_minute_min=policy.retry_per_minute_min)
        self._loop = asyncio.get_running_loop()

    def requested(self) -> None:
        """A stream begins: counts towards the budget of retries."""
        self._budget.request(self._loop.time())

    def surroundings(self, call: Call, on_chosen: Callable[[str], None]) -> Surroundings:
        """What the engine of one stream is given. ``on_chosen`` is told the name of each upstream that is asked."""
        keys = [upstream.model_key(call) for upstream in self.upstreams] if len(self.upstreams) > 1 else [""]

        def route(asked: Route) -> int:
            chosen = self._choose(asked, keys)
            on_chosen(self.upstreams[chosen].name)
            return chosen

        return Surroundings(random.random, self._take_retry, self._memory, time.time, route=route)

    def judged(self, record: AttemptRecord) -> None:
        """An attempt is over: its upstream is well, or it is not."""
        breaker, failure, now = self.breakers[record.upstream or 0], record.failure, self._loop.time()
        if failure is None:
            breaker.succeeded(now)
        elif counts(failure.kind):
            breaker.failed(now)
        else:
            breaker.released(now)

    def first_allowed(self) -> Upstream:
        """For a request that is passed on: the first upstream that is well, or the first."""
        well = zip(self.upstreams, self.breakers, strict=True)
        return next((upstream for upstream, breaker in well if breaker.state is State.CLOSED), self.upstreams[0])

    def _choose(self, asked: Route, keys: list[str]) -> int:
        last, now = asked.last, self._loop.time()
        if last is not None and (not asked.may_move or not _moves(asked.failure)):
            return last
        order = list(range(len(self.upstreams)))
        if last is not None:  # the one that just failed comes last
            order = [*order[last + 1 :], *order[:last], last]
        for at in order:
            same_model = last is None or at == last or not asked.shown or keys[at] == keys[last]
            if same_model and (at == last or self.breakers[at].allows(now)):
                return at
        return last if last is not None else 0

    def _take_retry(self) -> bool:
        return self._budget.try_retry(self._loop.time())


def _moves(failure: Failure | None) -> bool:
    """Whether another upstream may do better."""
    return failure is None or failure.kind not in _FOLLOWS
