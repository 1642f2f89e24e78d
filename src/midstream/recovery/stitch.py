"""Makes many attempts read as one message.

Rule: nothing outside this file knows that a second attempt starts its block numbers at zero.
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from midstream.protocol.events import (
    BlockGrew,
    BlockStarted,
    BlockStopped,
    Event,
    Fields,
    MessageStarted,
    MessageStopped,
    MessageStopping,
)
from midstream.protocol.framing import delta_fields
from midstream.protocol.message import Block, Message, State
from midstream.recovery.commit import Commit
from midstream.recovery.history import SeamRecord, fit
from midstream.recovery.plan import Continue, Where
from midstream.recovery.seam import Join, MarkerScan, PrefixJoin

Encode = Callable[[Fields], bytes]

NOT_SHOWN = frozenset({"thinking", "redacted_thinking"})
"""In a *Continue* attempt: bound to a conversation that the caller never sees."""

_HONEST_WITHOUT_CONTENT = frozenset({"refusal", "max_tokens", "model_context_window_exceeded", "pause_turn"})


def shown_of(message: Message, commit: Commit) -> tuple[Message, list[Block]]:
    """What the consumer was shown of a first attempt, as a message of its own; and the blocks it was not shown."""
    count = commit.shown + commit.live
    shown = Message()
    if count:
        # What came in a message_delta waits for its stop reason: the consumer has not seen it.
        shown.begin_as(message)
        shown.blocks = message.blocks[:count]
        shown.state = State.BETWEEN
    if commit.live:
        block = copy(message.blocks[count - 1])
        block.parts, block.closed = list(block.parts), False
        shown.blocks[-1] = shown.open = block
        shown.state = State.INSIDE
    return shown, message.blocks[count:]


def settle(shown: Message, usage: Fields, encode: Encode) -> list[Event]:
    """The events that end a message where its complete tool calls end."""
    delta = {"stop_reason": "tool_use", "stop_sequence": None}
    ending = stopping({"type": "message_delta", "delta": delta, "usage": usage}, encode)
    return [*close(shown, encode), ending, stop(encode)]


def close(shown: Message, encode: Encode) -> list[Event]:
    """The stop of the block that is open, if one is."""
    if shown.open is None:
        return []
    fields = {"type": "content_block_stop", "index": shown.open.index}
    return [BlockStopped(shown.open.index, fields, encode(fields))]


def stopping(fields: Fields, encode: Encode) -> MessageStopping:
    """A ``message_delta`` with these fields."""
    return MessageStopping(fields["delta"], fields.get("usage"), fields, encode(fields))


def stop(encode: Encode) -> MessageStopped:
    """A ``message_stop``."""
    fields: Fields = {"type": "message_stop"}
    return MessageStopped(fields, encode(fields))


def added(usages: Sequence[Fields], last: Fields) -> Fields:
    """The usage of the merged message: output and server-tool counts over all shown attempts, the rest the last's."""
    total = dict(last)
    for usage in usages:
        if "output_tokens" in usage or "output_tokens" in total:
            total["output_tokens"] = _sum(total.get("output_tokens"), usage.get("output_tokens"))
        if isinstance(counts := usage.get("server_tool_use"), dict):
            so_far = total.get("server_tool_use")
            so_far = dict(so_far) if isinstance(so_far, dict) else {}
            total["server_tool_use"] = so_far | {name: _sum(so_far.get(name), n) for name, n in counts.items()}
    return total


def _sum(one: Any, other: Any) -> int:
    return sum(n for n in (one, other) if type(n) is int)


class Splice:
    """Weaves the events of one *Continue* attempt into what the consumer has."""

    def __init__(
        self, number: int, shown: Message, plan: Continue, encode: Encode, usages: Sequence[Fields], hold_chars: int
    ) -> None:
        self.shown = shown
        self.showed = False
        """Whether anything of this attempt has been shown."""
        self.withheld: list[Block] = []
        """Blocks that came whole after the model had said that the reply was complete."""
        self.complete = False
        """The model said that the reply was complete already: nothing after that is shown."""
        self.problem: str | None = None
        """Why the attempt counts as failed although it ended well."""
        self._number = number
        self._seam: SeamRecord | None = None
        self._plan = plan
        self._encode = encode
        self._usages = usages
        self._hold_chars = hold_chars
        cut_text = plan.cut.where is Where.TEXT and shown.open is not None
        self._cut_text = shown.open.text if cut_text and shown.open is not None else None
        self._indices: dict[int, int] = {}
        self._start: BlockStarted | None = None
        self._scan: Join | PrefixJoin | MarkerScan | None = None
        self._waiting: list[BlockGrew] = []  # what was said of a text before anything of it may be shown
        self._first_text = True
        self._joined_at: tuple[int, int] | None = None

    @property
    def holding(self) -> bool:
        """Whether the beginning of a text waits for the join to be decided."""
        return isinstance(self._scan, Join) and not self._scan.decided

    def show(self, event: Event, attempt: Message) -> list[Event]:
        """An event of the attempt that may be shown, as the consumer's events. They are added to `shown`."""
        match event:
            case MessageStarted():
                out: list[Event] = []
                if attempt.started.get("content") or attempt.started.get("stop_reason") is not None:
                    self.problem = "the continuation came as a whole message in its first event"
            case BlockStarted():
                out = self._started(event, attempt)
            case BlockGrew():
                out = self._grew(event)
            case BlockStopped():
                out = self._stopped(event)
            case MessageStopping():
                out = self._stopping(event, attempt)
            case _:
                return [event]
        return self._give(out)

    def expire(self) -> list[Event]:
        """The time of the hold is over."""
        assert isinstance(self._scan, Join) and self._start is not None, "only while a text is held"
        return self._give(self._text(self._start.index, self._scan.expire()))

    def _give(self, events: list[Event]) -> list[Event]:
        for event in events:
            problem = self.shown.receive(event)
            assert problem is None, problem
            self.showed = self.showed or isinstance(event, BlockStarted | BlockGrew)
        return events

    def _started(self, event: BlockStarted, attempt: Message) -> list[Event]:
        if self.complete:
            self.withheld.append(attempt.blocks[event.index])
        if self.complete or event.block["type"] in NOT_SHOWN:
            return []
        self._start, self._waiting = event, []
        if event.block["type"] != "text":
            return self._begin(event.block)
        self._scan = self._scanner()
        joins = not self._indices and self._plan.cut.where is Where.TEXT and self.shown.open is not None
        if joins and not self._cites(event.block) and self.shown.open is not None:
            self._indices[event.index] = self.shown.open.index
            self._joined_at = (self.shown.open.index, len(self.shown.open.text))
        begun = event.block.get("text")
        return self._text(event.index, self._scan.feed(begun)) if isinstance(begun, str) and begun else []

    def _scanner(self) -> Join | PrefixJoin | MarkerScan:
        plan, first = self._plan, self._first_text
        self._first_text = False
        if first and plan.form == "prefix":
            return PrefixJoin(plan.stripped)
        if first and self._cut_text is not None:
            return Join(self._cut_text, plan.anchor, plan.element, plan.marker, hold_chars=self._hold_chars)
        return MarkerScan(plan.marker, plan.element)

    def _cites(self, block: Fields) -> bool:
        cut = self.shown.open
        cut_cites = cut is not None and bool(cut.additions.get("citations") or cut.fields.get("citations") is not None)
        return cut_cites or block.get("citations") is not None

    def _begin(self, block: Fields) -> list[Event]:
        """A block of the consumer's: what is open is closed first."""
        assert self._start is not None
        closing = close(self.shown, self._encode)
        index = len(self.shown.blocks)
        self._indices[self._start.index] = index
        fields = {**self._start.fields, "index": index, "content_block": block}
        return [*closing, BlockStarted(index, block, fields, self._encode(fields))]

    def _text(self, index: int, text: str) -> list[Event]:
        scan = self._scan
        self.complete = self.complete or bool(isinstance(scan, Join | MarkerScan) and scan.complete)
        if not text:
            return []
        begun = [] if index in self._indices else self._begin_text()
        delta = {"type": "text_delta", "text": text}
        return [*begun, *self._waited(), self._delta(self._indices[index], delta, None)]

    def _waited(self) -> list[BlockGrew]:
        waiting, self._waiting = self._waiting, []
        return [self._renumbered(event) for event in waiting if event.index in self._indices]

    def _begin_text(self) -> list[Event]:
        assert self._start is not None
        return self._begin({**self._start.block, "text": ""})

    def _delta(self, index: int, delta: Fields, fields: Fields | None) -> BlockGrew:
        fields = {**(fields or {"type": "content_block_delta"}), "index": index, "delta": delta}
        value = delta.get("text", delta) if delta["type"] == "text_delta" else delta
        return BlockGrew(index, delta["type"], value, self._encode(fields))

    def _grew(self, event: BlockGrew) -> list[Event]:
        started = self._start
        if self.complete or started is None or started.index != event.index:
            return []
        if started.block["type"] == "text" and event.kind == "text_delta" and self._scan is not None:
            return self._text(event.index, self._scan.feed(event.value))
        if self.holding or event.index not in self._indices:
            self._waiting.append(event)  # a citation waits for its text
            return []
        return [self._renumbered(event)]

    def _renumbered(self, event: BlockGrew) -> BlockGrew:
        index = self._indices[event.index]
        if index == event.index:
            return event
        fields = dict(event.fields or delta_fields(event))
        fields["index"] = index
        return BlockGrew(index, event.kind, event.value, self._encode(fields), event.fields and fields)

    def _stopped(self, event: BlockStopped) -> list[Event]:
        started = self._start
        if started is None or started.index != event.index:
            return []
        out = self._end_text()
        self._start = None
        if event.index not in self._indices or not (self.showed or out):
            return out  # an empty text, or one that was all tags: there is no block, and the cut one stays open
        fields = {**event.fields, "index": self._indices[event.index]}
        return [*out, BlockStopped(self._indices[event.index], fields, self._encode(fields))]

    def _end_text(self) -> list[Event]:
        scan, started = self._scan, self._start
        if scan is None or started is None or started.block["type"] != "text":
            return []
        out = self._text(started.index, scan.end())
        self._note_seam(scan)
        self._scan = None
        out += self._waited()
        if isinstance(scan, Join) and scan.verdict == "failed":
            self.problem = "the continuation holds nothing but the element that it was to begin with"
        return out

    def _note_seam(self, scan: Join | PrefixJoin | MarkerScan) -> None:
        if isinstance(scan, MarkerScan) or self._joined_at is None or self._seam is not None:
            return
        rule = (scan.rule or "none") if isinstance(scan, Join) else "prefix"
        self._seam = SeamRecord(self._number, *self._joined_at, rule, scan.dropped)

    def seam_record(self) -> SeamRecord | None:
        """The seam, when the attempt is over: as far as it came. Where nothing was shown, nothing met."""
        if self._scan is not None and not self.holding:
            self._note_seam(self._scan)
        return self._seam if self.showed else None

    def _stopping(self, event: MessageStopping, attempt: Message) -> list[Event]:
        out = self._end_text()
        self.problem = self.problem or self._end_problem(attempt.stop_reason, bool(out))
        if self.problem is not None:
            return out
        delta = dict(event.delta)
        if isinstance(details := delta.get("stop_details"), dict):
            promises = ("fallback_credit_token", "fallback_has_prefill_claim")
            delta["stop_details"] = {name: value for name, value in details.items() if name not in promises}
        usage = added(self._usages, attempt.usage)
        fields = {name: value for name, value in event.fields.items() if name != "context_management"}
        fields |= {"delta": delta, "usage": usage}
        # A block that the source itself leaves open is passed on as received.
        closing = close(self.shown, self._encode) if attempt.open is None else []
        return [*out, *closing, stopping(fields, self._encode)]

    def _end_problem(self, reason: str | None, gave: bool) -> str | None:
        """Why an attempt that ended well counts as failed."""
        if self.complete and reason == "tool_use":
            return "the continuation says that the reply was complete, and calls a tool"
        if self.complete or self.showed or gave or reason in _HONEST_WITHOUT_CONTENT:
            return None
        if self._plan.form == "prefix" or self._plan.cut.where is Where.BETWEEN:
            honest = reason in ("end_turn", "stop_sequence")
            return None if honest else f"the continuation is empty, and ends with {fit(reason)}"
        return "the continuation is empty, though the reply was cut within a block"
