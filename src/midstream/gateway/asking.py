"""One attempt of a stream before there is an answer: from the wish to the exchange; or what is answered in its place.

Rule: one task, over when the request is on its way. It decides nothing, and nothing of it stays with the stream.
"""

import asyncio

from midstream.gateway.answered import Answered
from midstream.gateway.asker import Asker
from midstream.gateway.endings import JSON_BODY, Refusal, answer_of, envelope, exhausted
from midstream.gateway.frames import Wire
from midstream.gateway.http.outbound import Exchange, Listener, Pool
from midstream.gateway.kept import Kept
from midstream.gateway.upstreams.errors import to_bedrock
from midstream.gateway.upstreams.port import BadCall, CannotAsk, Upstream
from midstream.journal.port import Writer
from midstream.recovery.failure import Failure, Kind
from midstream.recovery.steps import Open
from midstream.reports import Report

_RECORDED_S = 0.002
"""Between two looks whether the journal holds an attempt: it takes a tick, and what the disk takes."""


async def ask(
    kept: Kept, asker: Asker, upstream: Upstream, wait: Open, pool: Pool, listener: Listener, first: Writer | None
) -> Exchange:
    """Sends the request. Raises `CannotAsk`. ``first``: whose records have to be durable before."""
    if first is not None:
        await _recorded(first)
    call = kept.call
    request = await upstream.request(call, wait.body, asker.credentials_for(upstream, call))
    kept.pack()
    try:
        return pool.exchange(request, listener, connect_s=wait.connect_s)
    except ValueError as problem:
        raise BadCall(f"the request cannot be sent on: {problem}") from None


async def _recorded(writer: Writer) -> None:
    """Waits until the journal holds the attempt, so that a crash loop asks no more often than the limits say.

    Not for the first one: it becomes durable with the stream itself, or nobody knows of either.
    """
    while writer.pending_bytes:
        await asyncio.sleep(_RECORDED_S)


def answered_instead(problem: CannotAsk) -> Answered:
    """The answer that a service would give."""
    body = envelope(problem.status, str(problem), type=problem.error_type)
    return Answered(problem.status, [JSON_BODY], body)


def refusal_of(
    failure: Failure, report: Report, id: str, wire: Wire, answered: Answered, upstream: Upstream
) -> Refusal:
    """What to answer instead of a stream: the upstream's own words, where it was the upstream that refused."""
    if not answered.refuses:
        own = answer_of(failure, report, id)
        return own if wire == "sse" else Refusal(*to_bedrock(own.status, own.headers, own.body))
    answer = Refusal(*upstream.refusal(answered.status, answered.headers, answered.body, wire))
    return answer if failure.kind is Kind.REJECTED else exhausted(answer)
