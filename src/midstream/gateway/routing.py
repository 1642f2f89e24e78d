"""Which upstream is asked: in order, the first one that is well.

Rule: recovery says whether a stream may move; this says where to.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from functools import partial

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
        self._surroundings: dict[tuple[int, ...], Surroundings] = {}

    def requested(self) -> None:
        """A stream begins: counts towards the budget of retries."""
        self._budget.request(self._loop.time())

    def surroundings(self, call: Call) -> Surroundings:
        """What the engine of one stream is given: the same for all whose models agree at the same upstreams."""
        keys = [upstream.model_key(call) for upstream in self.upstreams] if len(self.upstreams) > 1 else [""]
        models = tuple(map(keys.index, keys))
        found = self._surroundings.get(models)
        if found is None:
            route = partial(self._choose, models)
            found = Surroundings(random.random, self._take_retry, self._memory, time.time, route=route)
            self._surroundings[models] = found
        return found

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

    def _choose(self, models: Sequence[int], asked: Route) -> int:
        """``models``: for each upstream the first one that has the same model."""
        last, now = asked.last, self._loop.time()
        if last is not None and (not asked.may_move or not _moves(asked.failure)):
            return last
        order = list(range(len(self.upstreams)))
        if last is not None:  # the one that just failed comes last
            order = [*order[last + 1 :], *order[:last], last]
        for at in order:
            same_model = last is None or at == last or not asked.shown or models[at] == models[last]
            if same_model and (at == last or self.breakers[at].allows(now)):
                return at
        return last if last is not None else 0

    def _take_retry(self) -> bool:
        return self._budget.try_retry(self._loop.time())


def _moves(failure: Failure | None) -> bool:
    """Whether another upstream may do better."""
    return failure is None or failure.kind not in _FOLLOWS
