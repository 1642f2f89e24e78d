"""What follows an attempt that failed: another one, where and when; or the end.

Rule: decides, and does nothing. The plan is `plan`'s, the limits are `policy`'s; which upstream is asked from outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from midstream.protocol.message import Block
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.plan import Continue, Form, NoPlan, Plan, Restart, Settle, make_plan, may_move
from midstream.recovery.policy import GiveUp, Policy, Spent, decide
from midstream.recovery.request import Request
from midstream.recovery.standing import Standing
from midstream.recovery.surroundings import Route, Surroundings

_FORM_REFUSED = Failure(Kind.SERVER_ERROR, Phase.SHOWING, Origin.SERVICE, "a way of continuing was refused")


@dataclass(frozen=True, slots=True)
class Choice:
    """One more attempt."""

    plan: Restart | Continue
    upstream: int | None
    delay_s: float


class Chooser:
    """Chooses for one stream."""

    __slots__ = ("_around", "_policy", "_request")

    def __init__(self, request: Request, policy: Policy, around: Surroundings) -> None:
        self._request = request
        self._policy = policy
        self._around = around

    def first(self) -> int:
        """Where the first attempt goes."""
        route = self._around.route
        return route(Route(None, None, may_move=True, shown=False)) if route is not None else 0

    def after(
        self,
        failure: Failure,
        standing: Standing,
        dropped: Sequence[Block],
        last: int | None,
        spent: Spent,
        *,
        form: Form | None = None,
        ours: bool = False,
    ) -> Choice | Settle | GiveUp:
        """What follows an attempt at this upstream. A form is given after the refusal of another.

        Where the failure is ours, as the process ended, nobody needs a rest, and no retry is counted.
        """
        plan = self._planned(standing, dropped, last, form)
        if isinstance(plan, Settle):
            return plan
        if isinstance(plan, NoPlan):
            return GiveUp(plan.reason)
        upstream = last if form is not None else self._routed(standing, dropped, failure, last)
        # Another form is tried at once, whatever made the continuation necessary; but within the limits.
        weighed = failure if form is None else _FORM_REFUSED
        if ours or form is not None:
            weighed = replace(weighed, retry_after_s=0.0)
        if upstream != last:
            plan = self._planned(standing, dropped, upstream, form)
            # The service that takes over did not fail, unless it did before: only then does it get a rest.
            rest_s = None if upstream in standing.failed_at else 0.0
            weighed = replace(weighed, retry_after_s=rest_s, certificate=False)
        if upstream is None or isinstance(plan, Settle | NoPlan):
            return GiveUp("the upstream that the reply is bound to is there no more")
        around = self._around
        budget = around.take_retry if not ours else lambda: True
        decision = decide(weighed, spent, self._policy, jitter=around.jitter, budget_left=budget)
        return decision if isinstance(decision, GiveUp) else Choice(plan, upstream, decision.delay_s)

    def _planned(self, standing: Standing, dropped: Sequence[Block], upstream: int | None, form: Form | None) -> Plan:
        situation = standing.situation(self._request, standing.shown, dropped, standing.cut, upstream)
        return make_plan(situation, self._policy, self._around.memory, form)

    def _routed(self, standing: Standing, dropped: Sequence[Block], failure: Failure, last: int | None) -> int | None:
        situation = standing.situation(self._request, standing.shown, dropped, standing.cut, last)
        moves, route = may_move(situation, standing.homebound), self._around.route
        if route is None:
            return 0 if last is None and moves else last
        asked = route(Route(last, failure, moves, shown=bool(standing.shown.blocks)))
        return asked if moves else last
