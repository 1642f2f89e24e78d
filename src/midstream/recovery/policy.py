"""Limits, and what they decide: try again, or give up.

Rule: pure. The environment, the clock and the dice are handed in.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from midstream.recovery.failure import Failure, Kind
from midstream.recovery.policy_values import PolicyError as PolicyError
from midstream.recovery.policy_values import checked, parsed

MIB = 1 << 20
# How much of a request's upload buys one more second for its first event (recovery.md §9).
REQUEST_BYTES_PER_S = 32 * 1024
ENVIRON_PREFIX = "MIDSTREAM_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Every limit of a stream, and how much of an unfinished reply is shown.

    Made directly, it is the defaults and the arguments, whatever the environment holds: this layer does not read it.
    ``Policy.from_environ(os.environ, …)`` is what a face calls for its users: an explicit argument beats the
    environment, which beats the default.
    """

    attempts: int = 4
    """Attempts since something new was last shown, the first included. Default 4: three more after the first, which
    with the back-off lasts through the overloads of a few seconds that are most common."""
    attempts_total: int = 16
    """All attempts of one stream. Default 16: four times `attempts`, so a stream that gets on a little each time
    still ends."""
    elapsed_s: float | None = None
    """Seconds for the whole stream, waiting for the upstream and between attempts; ``None``: no limit. Default
    ``None``: a long reply is no failure, and the other limits end one that does not get on."""
    waiting_s: float | None = None
    """Seconds asleep between attempts, all together; ``None``: no limit of its own. Default ``None``: `attempts_total`
    and `retry_after_max_s` bound it already, at 15 minutes with their defaults."""

    connect_s: float = 5.0
    """Seconds to get a connection. Default 5: the SDK's own."""
    first_event_s: float = 180.0
    """Seconds from sending the request to its first event, and 1 more for each 32 KiB of request. Default 180: what
    Claude Code waits."""
    silence_s: float = 180.0
    """Seconds without a byte. Default 180: what Claude Code waits; the API pings every 15 to 30 s."""
    silence_after_pings_s: float = 60.0
    """The same once two pings were seen on this stream; the lower of the two counts. Default 60: two pings missed."""
    progress_s: float = 300.0
    """Seconds without anything that changes the message; pings do not count. Default 300: what Claude Code waits."""
    progress_slow_s: float = 1800.0
    """The same inside an open thinking, tool or compaction block and while a server tool's result is awaited; the
    higher of the two counts. Default 1800: the longest that Claude Code's setting can be."""

    backoff_s: tuple[float, float] = (0.5, 8.0)
    """The lowest and the highest ceiling, in seconds, of the exponential back-off with full jitter. Default 0.5 to 8:
    the SDK's own."""
    retry_after_max_s: float = 60.0
    """The longest ``retry-after``, in seconds, that is waited for; above it, give up at once. Default 60: who waits
    for a stream waits no longer than that for its next word."""
    retry_share: float = 0.2
    """Retries as a share of the requests of the last 60 s, over all streams of one client or gateway. Default 0.2:
    an outage then costs the service a fifth more requests, not a multiple."""
    retry_per_minute_min: int = 10
    """Retries a minute that are always allowed, whatever the share. Default 10: so that a client with few streams
    can recover at all."""

    tools: Literal["hold", "live"] = "hold"
    """``"live"`` shows client tool calls as they grow. Price: a stream that breaks inside one cannot be repaired."""
    thinking: Literal["hold", "live"] = "hold"
    """``"live"`` shows thinking as it grows. Price: a stream that breaks inside it cannot be repaired."""
    server_tools: Literal["hold", "live"] = "hold"
    """``"live"`` shows server and MCP calls before their results. Price: as for `tools`, until the result is there."""
    structured: Literal["hold", "live"] = "hold"
    """``"live"`` shows structured output as it grows. Price: once it has begun, it cannot be repaired."""

    continue_text: bool = True
    """Whether a text that was shown in part may be continued. Default yes; without it only a stream of which nothing
    was shown is tried again."""
    continue_max_tokens: int = 0
    """How often a reply that stopped at ``max_tokens`` is continued. Default 0: that stop was asked for."""
    repeat_remote_tools: bool = False
    """Whether a request may be sent again though a complete MCP call in it may have had its effect already. Default
    no: it would have it twice."""

    held_bytes_max: int = 64 * MIB
    """Bytes held back per stream. Default 64 MiB: twice the largest request of the API, 32 MiB, as a result that
    came whole is held whole."""
    frame_bytes_max: int = 32 * MIB
    """Bytes of one frame. Default 32 MiB: over the 24 MiB that an AWS event stream allows, in base64."""
    reply_bytes_max: int = 256 * MIB
    """Bytes of one attempt, all in all. Default 256 MiB: a thousand times the longest reply of 128,000 tokens as text,
    and what keeps an upstream that never stops from filling the memory."""
    error_body_bytes_max: int = MIB
    """Bytes of an error's body that are read; the rest is dropped. Default 1 MiB: the API's are a few hundred bytes,
    a proxy's page a few thousand."""
    seam_hold_chars: int = 2000
    """Characters of a continuation that are held until the join is decided. Default 2,000: ten anchors of the longest
    kind."""
    seam_hold_s: float = 5.0
    """Seconds for the same. Default 5: a pause that a reader forgives. In the SDK it is looked at when something
    arrives: a wait of the SDK's cannot be ended without its connection; until then the limit of silence counts."""

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in checked(values, labels={}).items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], **explicit: Any) -> Self:
        """The defaults, changed by ``MIDSTREAM_<FIELD>`` variables, changed by the arguments.

        A blank variable counts as not set, an unknown one is somebody else's. One that an argument beats is not read.
        """
        values: dict[str, Any] = {}
        labels: dict[str, str] = {}
        for field in fields(cls):
            variable = ENVIRON_PREFIX + field.name.upper()
            text = environ.get(variable, "").strip()
            if text and field.name not in explicit:
                values[field.name] = parsed(field.name, text)
                labels[field.name] = variable
        given = {**values, **explicit}
        # Checked here first: a message then names the variable that the value came from.
        checked({field.name: given.get(field.name, field.default) for field in fields(cls)}, labels)
        return cls(**given)

    def first_event_limit_s(self, request_bytes: int) -> float:
        """How long the first event may take after a request of this size."""
        return self.first_event_s + request_bytes / REQUEST_BYTES_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a stream has used up so far."""

    attempts: int = 0
    """Attempts since something new was last shown, the one that just failed included."""
    attempts_total: int = 0
    slept_s: float = 0.0
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TryAgain:
    """One more attempt, after this delay."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No more attempts."""

    reason: str
    """One clause for a person, with the numbers in it."""


Decision = TryAgain | GiveUp


def decide(
    failure: Failure,
    spent: Spent,
    policy: Policy,
    *,
    jitter: Callable[[], float],
    budget_left: Callable[[], bool],
) -> Decision:
    """Whether a failed attempt is followed by another (the contract, §6).

    ``jitter`` gives numbers from 0 to 1, evenly spread. ``budget_left`` takes one retry out of the shared budget if
    there is one, so it is asked last, and only when everything else says yes.
    """
    reason = _hopeless(failure) or _used_up(spent, policy)
    if reason is not None:
        return GiveUp(reason)
    asked_s = failure.retry_after_s
    if asked_s is not None and not asked_s <= policy.retry_after_max_s:
        return GiveUp(
            f"the server asks to wait {asked_s:,.1f} s, over the {policy.retry_after_max_s:,g} s of the policy"
        )
    delay_s = _backoff_s(spent.attempts, policy, jitter) if asked_s is None else asked_s
    reason = _too_late(delay_s, spent, policy)
    if reason is not None:
        return GiveUp(reason)
    if not budget_left():
        return GiveUp("the retry budget shared by all streams is used up")
    return TryAgain(delay_s)


def _hopeless(failure: Failure) -> str | None:
    """Why this failure is never tried again. ``x-should-retry: true`` changes nothing here: all else is tried again."""
    if failure.kind is Kind.REJECTED:
        return "the request was rejected"
    if failure.kind is Kind.LIMIT:
        return "a limit of midstream's own was reached"
    if failure.certificate:
        return "the certificate of the upstream was refused"
    if failure.exhausted:
        return "a midstream further up has used up its attempts"
    if failure.should_retry is False:
        return "the server says not to try again"
    return None


def _used_up(spent: Spent, policy: Policy) -> str | None:
    if spent.attempts_total >= policy.attempts_total:
        return f"all {policy.attempts_total} attempts of the stream are used up"
    if spent.attempts >= policy.attempts == 1:
        return "the policy allows no second attempt"
    if spent.attempts >= policy.attempts:
        return f"{spent.attempts} attempts in a row brought nothing new"
    return None


def _too_late(delay_s: float, spent: Spent, policy: Policy) -> str | None:
    if policy.waiting_s is not None and spent.slept_s + delay_s > policy.waiting_s:
        return f"a delay of {delay_s:.1f} s more would be over the {policy.waiting_s:,g} s of waiting of the policy"
    # An attempt that could only begin when the time is over is none.
    if policy.elapsed_s is not None and spent.elapsed_s + delay_s >= policy.elapsed_s:
        return f"a delay of {delay_s:.1f} s more would use up the {policy.elapsed_s:,g} s of the policy"
    return None


def _backoff_s(attempts: int, policy: Policy, jitter: Callable[[], float]) -> float:
    """Exponential with full jitter: evenly between nothing and a ceiling that doubles with each attempt."""
    low_s, high_s = policy.backoff_s
    # 2**60 times anything that a policy allows but 0 is over its highest; beyond 2**1023 a float overflows.
    doublings = min(max(attempts - 1, 0), 60)
    return jitter() * min(high_s, low_s * 2.0**doublings)


class RetryBudget:
    """How many retries all streams of one client or gateway may make: a share of its requests in the last 60 s.

    Counts to the second: the last 60 s are this second and the 59 before it. Not safe to share between threads by
    itself; its owner holds a lock.
    """

    WINDOW_S = 60

    def __init__(self, *, share: float, per_minute_min: int) -> None:
        self._share = share
        self._per_minute_min = per_minute_min
        # [second, requests, retries], oldest first; at most one for each second of the window.
        self._buckets: deque[list[int]] = deque()
        self._requests = 0
        self._retries = 0

    def request(self, now: float) -> None:
        """Count a stream's first attempt."""
        self._bucket(now)[1] += 1
        self._requests += 1

    def try_retry(self, now: float) -> bool:
        """Take one retry, if there is one left."""
        bucket = self._bucket(now)
        if self._retries + 1 > max(self._per_minute_min, self._share * self._requests):
            return False
        bucket[2] += 1
        self._retries += 1
        return True

    def _bucket(self, now: float) -> list[int]:
        """This second's bucket, after the ones that are too old were dropped. A clock that goes back stands still."""
        second = math.floor(now)
        if self._buckets and second <= self._buckets[-1][0]:
            return self._buckets[-1]
        while self._buckets and self._buckets[0][0] <= second - self.WINDOW_S:
            _, requests, retries = self._buckets.popleft()
            self._requests -= requests
            self._retries -= retries
        self._buckets.append([second, 0, 0])
        return self._buckets[-1]
