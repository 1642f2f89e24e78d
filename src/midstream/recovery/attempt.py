"""One upstream request, from its first byte to its end.

Rule: knows what arrived and what of it may be shown; what to do when it breaks is the engine's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from itertools import takewhile

from midstream.protocol.dialects import Anthropic, Bedrock, Dialect, dump, parse
from midstream.protocol.events import (
    BlockGrew,
    ErrorReported,
    Event,
    Fields,
    MessageStopping,
    Pinged,
    Unreadable,
    Unrecognised,
)
from midstream.protocol.message import STEPS, Block, Message, State
from midstream.recovery import classify
from midstream.recovery.commit import Commit, Rules
from midstream.recovery.facts import NOTHING_NOTED, note
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.history import AttemptRecord, fit
from midstream.recovery.plan import BYTES_PER_TOKEN, Plan, generated_bytes, name_of
from midstream.recovery.policy import Policy
from midstream.recovery.stitch import Splice
from midstream.recovery.watch import NEVER, Watch
from midstream.usual import Flow

# Blank bytes before the first frame: more than any server sends, and then they are somebody's page.
_BLANK_BYTES_MAX = 1024
_BOM = b"\xef\xbb\xbf"

# Two or three dozen deltas: together they take less room than the rest of an idle stream.
_LOOK_BYTES = 4096
_NO_HEADERS: Mapping[str, str] = {}


class Verdict(Enum):
    """How an attempt is doing, if it has not failed."""

    GOING = "going"
    FLOWING = "going, with something new and nothing held back"
    COMPLETE = "complete"
    EXTEND = "stopped at max_tokens, and may be continued"
    DOCUMENT = "a document came instead of a stream"


Outcome = Verdict | Failure

# Asked for with every chunk; a member of an enum takes longer to look up than a chunk to pass on.
GOING, FLOWING = Verdict.GOING, Verdict.FLOWING


class Attempt:
    """The state of one attempt."""

    __slots__ = tuple(
        "_hold_began_at _live _look_at_bytes _noted _policy _received_bytes body commit dialect extendable facts"
        " headers hold_live_after_s message plan record rest settled shown_before splice watch went_live wire".split()
    )

    def __init__(
        self, plan: Plan, record: AttemptRecord, watch: Watch, rules: Rules, policy: Policy, facts: list[Fields]
    ) -> None:
        self.plan = plan
        self.record = record
        self.watch = watch
        self.message = Message()
        self.commit = Commit(self.message, rules)
        self.splice: Splice | None = None
        self.dialect: Dialect | None = None
        """Known with the first byte of the body."""
        self.headers: Mapping[str, str] = _NO_HEADERS
        """Of the response, until it is known for a stream."""
        self.body: bytearray | bytes = b""
        """The body of an error, or what came before the dialect was known."""
        self.settled = False
        """The stop reason is known, and everything that was held has been shown."""
        self.went_live = False
        """A hold lasted too long, and was ended by showing what was held."""
        self.shown_before = False
        """The consumer has content of earlier attempts."""
        self.extendable = False
        """A stop at max_tokens is handed to the engine before anything comes of it."""
        self.rest: Sequence[Event | Unreadable] = ()
        """The events from such a stop on."""
        self.hold_live_after_s = NEVER
        self.facts = facts
        """The stream's facts for a journal."""
        self.wire: str | None = None
        """The dialect that the consumer is spoken to in, once it is known: no attempt may speak another."""
        self._noted = NOTHING_NOTED
        self._received_bytes = self._look_at_bytes = 0
        self._policy = policy
        self._live = False  # the open block is shown as it comes, byte for byte: the hot path
        self._hold_began_at: float | None = None

    @property
    def showed(self) -> bool:
        """Whether the consumer was shown anything of it."""
        if self.splice is not None:
            return self.splice.showed
        return self.commit.shown > 0 or self.commit.live or self.settled

    def feed(self, data: bytes, now: float, out: list[Event]) -> Outcome:
        """A chunk of the body. What may be shown goes to ``out``."""
        if self.dialect is None:
            outcome = self._choose_dialect(data)
            if outcome is not None:
                return outcome
            data, self.body, self.headers = bytes(self.body), b"", _NO_HEADERS
        assert self.dialect is not None
        self._received_bytes += len(data)
        if self._received_bytes > self._look_at_bytes and (failure := self._look()) is not None:
            return failure
        events = self.dialect.receive(data)
        if self._live and (block := self.message.open) is not None:
            if len(events) == 1:  # the usual chunk, without the loop
                event = events[0]
                if (
                    type(event) is BlockGrew
                    and event.index == block.index
                    and event.kind == block.grows_by
                    and event.value
                    and not event.fields
                ):
                    block.parts.append(event.value)
                    out.append(event)
                    return FLOWING
            return self._pass_on(events, block, now, out)
        return self.weigh(events, now, out) if events else GOING

    def _look(self) -> Failure | None:
        """Not with every chunk: is the reply too long? And its fragments are joined, to take less room."""
        bytes_max = self._policy.reply_bytes_max
        if self._received_bytes > bytes_max:
            return self.failure(Kind.LIMIT, Origin.CLIENT, f"the reply is longer than {bytes_max:,} bytes")
        self._look_at_bytes = min(self._received_bytes + _LOOK_BYTES, bytes_max)
        for message in (self.message,) if self.splice is None else (self.message, self.splice.shown):
            if message.open is not None:
                message.open.join()
        return None

    def _pass_on(self, events: list[Event | Unreadable], block: Block, now: float, out: list[Event]) -> Outcome:
        """The hot path: deltas of an open text that is shown as it comes. Anything else is weighed."""
        append, index, grows_by, add = out.append, block.index, block.grows_by, block.parts.append
        count, grew = 0, False
        for event in events:
            if type(event) is not BlockGrew or event.index != index or event.kind != grows_by or event.fields:
                break
            add(value := event.value)
            append(event)
            count += 1
            if value:
                grew = True
        if count == len(events):
            return FLOWING if grew else GOING
        if grew:
            self.watch.progressed(now)
        return self.weigh(events[count:], now, out)

    def flow(self) -> Flow | None:
        """What takes the usual chunk from now on, if the open block is shown as it comes."""
        block, dialect = self.message.open, self.dialect
        usual = dialect.usual if type(dialect) is Anthropic else None
        if not self._live or block is None or usual is None or usual[1:] != (block.index, block.grows_by):
            return None
        # What is over the bound comes here: it is time for `_look`.
        watch, bytes_max = self.watch, self._look_at_bytes - self._received_bytes
        return Flow(usual[0], block.parts, watch.quiet_until, watch.patience_s, watch.total_at, bytes_max)

    def flowed(self, flow: Flow) -> None:
        """Takes over what it has taken."""
        self._received_bytes += flow.taken_bytes
        if flow.at is not None:
            self.watch.flowed(flow.at)

    def _choose_dialect(self, data: bytes) -> Outcome | None:
        """Looks at the first bytes that are no white space. Until they are there, there is nothing to read."""
        self.keep_body(data, len(self.body) + len(data))
        begun = bytes(self.body[:_BLANK_BYTES_MAX])
        if _says_nothing(begun) and len(self.body) < _BLANK_BYTES_MAX:
            return Verdict.GOING
        content_type = self.headers.get("content-type", "").lower()
        dialect = dialect_of(content_type, begun, self._policy.frame_bytes_max)
        if dialect is None:
            return Verdict.DOCUMENT
        if self.wire not in (None, dialect.name):
            return self.garbled("the response is framed otherwise than the one before")
        self.dialect = dialect
        return None

    def keep_body(self, data: bytes, bytes_max: int) -> None:
        """Adds to the body of an error or a document, up to so many bytes."""
        if not self.body:
            self.body = bytearray()
        self.body += data[: bytes_max - len(self.body)]

    def weigh(self, events: list[Event | Unreadable], now: float, out: list[Event]) -> Outcome:
        """Events, one by one."""
        for number, event in enumerate(events):
            if self.extendable and type(event) is MessageStopping and event.delta.get("stop_reason") == "max_tokens":
                self.rest = events[number:]
                return Verdict.EXTEND
            failure = self._take(event, now, out)
            if failure is not None:
                return failure
            if self.message.state is State.COMPLETE:
                behind = takewhile(_means_nothing, events[number + 1 :])
                out += [event for event in behind if not isinstance(event, Unreadable)]
                return Verdict.COMPLETE
        return Verdict.GOING

    def _take(self, event: Event | Unreadable, now: float, out: list[Event]) -> Failure | None:
        """One event: into the message, and as far as may be shown to the consumer. Or what is wrong with it."""
        if isinstance(event, Unreadable):
            kind = Kind.LIMIT if event.too_large else Kind.GARBLED
            return self.failure(kind, Origin.CLIENT if event.too_large else Origin.PROTOCOL, event.detail)
        if isinstance(event, ErrorReported):
            return self._reported(event)
        problem = self.message.receive(event)
        if problem is not None:
            return self.garbled(problem)
        self._note_progress(event, now)
        if type(event) is MessageStopping and self.message.stop_reason is not None:
            fault = self._stop_problem()
            if fault is not None:
                return fault
        return self._show(self.commit.receive(event), out)

    def _show(self, released: list[Event], out: list[Event]) -> Failure | None:
        splice = self.splice
        if splice is None:
            out += released
        else:
            for event in released:
                out += splice.show(event, self.message)
                if splice.problem is not None:  # what comes with it, the end of the message even, is not shown
                    return self.garbled(splice.problem)
        self.settled = self.message.stop_reason is not None
        self._live = self.commit.live and splice is None and self.message.state is State.INSIDE
        if self.commit.held_bytes > self._policy.held_bytes_max:
            detail = f"more than {self._policy.held_bytes_max:,} bytes had to be held back"
            return self.failure(Kind.LIMIT, Origin.CLIENT, detail)
        return None

    def _note_progress(self, event: Event, now: float) -> None:
        if type(event) is BlockGrew:
            if event.value or (event.fields is not None and "estimated_tokens" in event.fields["delta"]):
                self.watch.progressed(now)
        elif isinstance(event, Pinged):
            self.watch.pinged()
        elif isinstance(event, STEPS):
            self.watch.follow(self.message, now)
            self._noted = note(self.facts, self._noted, self.record.number, event, self.message)

    def _stop_problem(self) -> Failure | None:
        """What a stop reason brings to light, before anything that was held is shown."""
        if (call := self.commit.garbled_call()) is not None:
            return self.garbled(f"the input of the tool call {name_of(call)!r} is not a JSON object")
        if self.splice is not None and self.message.stop_reason == "compaction":
            detail = "the continuation stopped for a compaction"
            return self.failure(Kind.LIMIT, Origin.SERVICE, detail)
        return None

    def wake_at(self, now: float, out: list[Event]) -> float | None:
        """When a hold will have lasted long enough; ends one that has."""
        splice = self.splice
        holding = splice.holding if splice is not None else self.commit.holds_words
        limit_s = self._policy.seam_hold_s if splice is not None else self.hold_live_after_s
        if not holding or limit_s == NEVER:
            self._hold_began_at = None
            return None
        if self._hold_began_at is None:
            self._hold_began_at = now
        if now < self._hold_began_at + limit_s:
            return self._hold_began_at + limit_s
        if splice is not None:
            out += splice.expire()
        else:
            # Less is held than before, so that it cannot be too much.
            self._show(self.commit.go_live(frozenset({"text", "thinking", "redacted_thinking"})), out)
            self.went_live = True
            self.facts.append({"fact": "shown_live", "attempt": self.record.number})
        return None

    def end(self, now: float, out: list[Event]) -> Outcome:
        """There will be no more bytes. A frame that stands whole in the buffer did arrive, but for its blank line."""
        return self.weigh(self.dialect.end(), now, out) if self.dialect is not None else Verdict.GOING

    def truncated(self) -> Failure:
        """The body ended cleanly, and early."""
        if self.dialect is not None and self.dialect.name == "eventstream" and self.dialect.pending:
            return self.failure(Kind.DISCONNECTED, Origin.TRANSPORT, self._where("the body ended inside a frame"))
        return self.failure(Kind.TRUNCATED, Origin.TRANSPORT, self._where("the body ended cleanly"))

    def expired(self, which: str) -> Failure:
        """A watchdog's limit has passed."""
        match which:
            case "first":
                kind = Kind.SILENT if self.dialect is None else Kind.STALLED
                return self.failure(kind, Origin.TRANSPORT, "no message began within the limit for the first event")
            case "silence":
                detail = self._where("no byte came within the limit of silence")
                return self.failure(Kind.SILENT, Origin.TRANSPORT, detail)
            case "progress":
                detail = self._where("nothing new came within the limit of progress")
                return self.failure(Kind.STALLED, Origin.SERVICE, detail)
        return self.failure(
            Kind.STALLED, Origin.CLIENT, f"the stream took longer than its {self._policy.elapsed_s:g} s"
        )

    def garbled(self, detail: str) -> Failure:
        """What came is not the protocol."""
        return self.failure(Kind.GARBLED, Origin.PROTOCOL, detail)

    def failure(self, kind: Kind, origin: Origin, detail: str) -> Failure:
        """A failure of this attempt."""
        return Failure(kind, self.phase, origin, detail, status=self.record.status, request_id=self.record.request_id)

    @property
    def phase(self) -> Phase:
        """How far the stream has come."""
        if self.settled:
            return Phase.SETTLED
        if self.showed or self.shown_before:
            return Phase.SHOWING
        if self.record.status is None:
            return Phase.CONNECTING
        return Phase.WAITING if self.message.state is State.EMPTY else Phase.STARTED

    def _where(self, what: str) -> str:
        message = self.message
        if message.state is State.EMPTY:
            return f"{what} before the first event"
        return (
            f"{what} inside block {message.open.index}"
            if message.open
            else f"{what} after {len(message.blocks)} blocks"
        )

    def _reported(self, event: ErrorReported) -> Failure:
        request_id = self.record.request_id
        if event.exception is None:
            return classify.from_error_event(event.fields, self.phase, request_id)
        return classify.from_exception_frame(
            event.exception, event.payload or dump(event.fields), self.phase, request_id
        )

    def refused(self, unix_s: float | None) -> Failure:
        """The body of an error status, or a document under 200."""
        status, body = self.record.status or 0, bytes(self.body)
        if not 200 <= status < 300:
            failure = classify.from_status(status, self.headers, body, self.phase, now_unix_s=unix_s)
            return replace(failure, request_id=failure.request_id or self.record.request_id)
        fields = parse(body)
        if isinstance(fields, dict) and ("error" in fields or fields.get("type") == "error"):
            return classify.from_error_event(fields, self.phase, self.record.request_id)
        return self.garbled("a document came instead of an event stream")

    def close_record(self, at: float, failure: Failure | None) -> None:
        """Writes down what the attempt came to."""
        record, message = self.record, self.message
        record.ended_at, record.failure, record.showed = at, failure, self.showed
        record.usage, record.usage_is_lower_bound = message.usage, message.stop_reason is None
        fields = message.fields
        record.message_id, record.model = _text(fields, "id"), _text(fields, "model")
        record.stop_reason = fit(message.stop_reason) or None
        record.output_tokens_estimated = generated_bytes(message) // BYTES_PER_TOKEN


def _means_nothing(event: Event | Unreadable) -> bool:
    """A ping or a comment: behind the message they are handed on, for the sake of the bytes."""
    return isinstance(event, Pinged) or (isinstance(event, Unrecognised) and not event.name)


def _says_nothing(begun: bytes) -> bool:
    """A byte order mark, a beginning of one, white space: nothing yet."""
    return _BOM.startswith(begun) or not begun.removeprefix(_BOM).strip(b" \t\r\n")


def dialect_of(content_type: str, begun: bytes, frame_bytes_max: int) -> Dialect | None:
    """Which dialect a body is in, by its content type and its first bytes; ``None`` if it is a document or a page.

    The bytes count more than the header: proxies answer 200 with a page, and test servers leave the type out.
    """
    if content_type.startswith("application/vnd.amazon.eventstream") or begun[:1] in (b"\0", b"\1"):
        return Bedrock(frame_bytes_max=frame_bytes_max)
    if begun.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[", b"<"):
        return None
    return Anthropic(frame_bytes_max=frame_bytes_max)


def _text(fields: Fields, name: str) -> str | None:
    return fit(fields.get(name)) or None
