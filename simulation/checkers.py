"""What must hold after every step, whatever happens: the contract's §10, by code that shares nothing with the engine.

Rule: a checker raises `Violation` and changes nothing. It reads the contract, the truth and what was handed on.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from midstream.recovery.failure import Failure
from midstream.recovery.policy import Policy
from simulation.answers import Answer, Fields, Part
from simulation.consumer import Consumer, Shown, Source
from simulation.upstream import Seen


class Violation(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What of the request decides how a reply to it may be recovered."""

    structured: bool
    forced: bool
    thinks: bool
    eager: bool
    never: bool
    """Signed by the caller, in a thread, or redeeming a credit."""
    container: bool
    """The request names a container."""


RUN_IN_CONTAINER = frozenset({"code_execution", "bash_code_execution", "text_editor_code_execution"})


def way_on(consumer: Consumer, source: Source, facts: Facts, policy: Policy, *, followed: bool | None = None) -> str:
    """The row of the contract's table (§6): ``none``, ``settle``, ``restart`` or ``continue``."""
    shown = consumer.blocks
    ids = {block.start.get("id") for block in shown}
    missing = [block for block in source.blocks if block.start.get("id") not in ids or "id" not in block.start]
    followed = _is_followed(shown, source) if followed is None else followed
    if _is_unfinished(shown, facts, followed):
        return "none"
    if any(block.type == "tool_use" and is_direct(block) for block in shown):
        return "settle"
    if not policy.repeat_remote_tools and any(
        block.type == "mcp_tool_use" and block.closed and block.input is not None for block in missing
    ):
        return "none"
    if not shown:
        return "restart"
    blocks = [*shown, *missing]
    if not policy.continue_text or facts.never or any(not is_direct(block) for block in blocks):
        return "none"
    if any(block.type == "fallback" for block in blocks):
        return "none"
    known = facts.container or bool((consumer.fields.get("container") or {}).get("id"))
    contained = any(b.type == "container_upload" or b.start.get("name") in RUN_IN_CONTAINER for b in blocks)
    return "none" if contained and not known else "continue"


def _is_followed(shown: list[Shown], source: Source) -> bool:
    """Whether a block has come after the last one that was shown, if that one has an id."""
    ids = [block.start.get("id") for block in source.blocks]
    last = shown[-1].start.get("id") if shown else None
    return last in ids[:-1] if last is not None else False


def _is_unfinished(shown: list[Shown], facts: Facts, followed: bool) -> bool:
    answered = {block.start.get("tool_use_id") for block in shown}
    for block in shown:
        if not block.closed and (block.type != "text" or facts.structured):
            return True
        if block.type in ("server_tool_use", "mcp_tool_use") and block.start["id"] not in answered:
            return True
        if block.type == "tool_use" and block.input is None:
            return True
        if block.type == "tool_use" and not any(block.json) and block is shown[-1] and not followed:
            return True
    return False


def is_direct(block: Shown) -> bool:
    """Whether the model itself made the call."""
    return bool((block.start.get("caller") or {"type": "direct"})["type"] == "direct")


class Truth:
    """Holds what is shown against what the model has to say: nothing twice, nothing lost, nothing invented."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.part = -1
        self.chars = 0
        self.strict = True
        """Every attempt so far went on exactly."""
        self.resumed = False
        """The present attempt is a continuation."""
        self.may_split = False
        """The text that was cut may be closed, and go on in a block of its own."""

    def take(self, event: Fields, consumer: Consumer) -> None:
        """One event of the consumer's, which has taken it already."""
        kind = event["type"]
        if kind == "content_block_start":
            self._start(event["content_block"])
        elif kind == "content_block_delta":
            if event["delta"]["type"] == "text_delta":
                self._text(event["delta"]["text"])
        elif kind == "content_block_stop":
            self._stop(consumer.blocks[-1])

    def _start(self, start: Fields) -> None:
        parts, at = self.answer.parts, self.part
        if 0 <= at < len(parts) and start["type"] == "text" == parts[at].type and self._splits():
            return
        at += 1
        while at < len(parts) and (
            (parts[at].blank and start["type"] != "text") or (self.resumed and parts[at].thinks)
        ):
            at += 1
        if at < len(parts) and _same_start(parts[at].start, start):
            self._rest_is_shown()
            self.part, self.chars = at, 0
        elif self.strict:
            wanted = parts[at].start if at < len(parts) else "nothing more"
            raise Violation(f"shown {start!r} where the answer has {wanted!r}")

    def _splits(self) -> bool:
        part = self.answer.parts[self.part]
        rest = self.chars < len(part.text)
        only_blanks = not part.text[self.chars :].strip()  # they came after a cut call, so no prefix is asked for
        return rest and self.resumed and (part.cited or self.may_split or only_blanks or not self.strict)

    def _rest_is_shown(self) -> None:
        if self.strict and self.part >= 0:
            part = self.answer.parts[self.part]
            if part.type == "text" and part.text[self.chars :].strip():
                raise Violation(f"lost: {part.text[self.chars : self.chars + 40]!r} of part {self.part}")
            if part.type == "text" and self.chars < len(part.text) and not self.may_split:
                raise Violation(f"lost blanks: {part.text[self.chars :]!r} of part {self.part}")

    def _text(self, text: str) -> None:
        if self.part < 0:
            return
        part = self.answer.parts[self.part]
        if self.strict and not part.text.startswith(text, self.chars):
            part = self._another(text) or part
        if self.strict and not part.text.startswith(text, self.chars):
            wanted = part.text[self.chars : self.chars + len(text)]
            raise Violation(f"shown {text!r} where part {self.part} has {wanted!r} at {self.chars}")
        self.chars = min(self.chars + len(text), len(part.text))

    def _another(self, text: str) -> Part | None:
        """The part that this is the beginning of instead, if it may be.

        A blank text may be left out. And where a cut text had all of its characters, nobody can tell the text that
        comes next from its continuation: it goes on in the same block (§7).
        """
        part, at = self.answer.parts[self.part], self.part + 1
        if self.chars < len(part.text) and not (part.blank and not self.chars):
            return None
        while at < len(self.answer.parts) and (self.answer.parts[at].thinks or self.answer.parts[at].blank):
            if self.answer.parts[at].blank and self.answer.parts[at].text.startswith(text):
                break
            at += 1
        if not self.resumed or at == len(self.answer.parts) or not self.answer.parts[at].text.startswith(text):
            return None
        self.part, self.chars = at, 0
        return self.answer.parts[at]

    def _stop(self, block: Shown) -> None:
        if self.part < 0 or not self.strict:
            return
        part = self.answer.parts[self.part]
        if block.type.endswith("tool_use") and (self.part, 1) not in self.answer.limits:
            if block.input != part.input:
                raise Violation(f"the call {block.start!r} came to {block.input!r}, but was {part.input!r}")

    def ended(self, *, settled: bool) -> None:
        """The message is complete: nothing may be missing."""
        if not self.strict or settled:
            return
        parts, limits = self.answer.parts, self.answer.limits
        last = limits[0] if limits else None
        if last is not None and (self.part, self.chars) != last and parts[last[0]].type == "text":
            raise Violation(f"ended at {(self.part, self.chars)}, but max_tokens stopped it at {last}")
        if last is not None:
            return
        left = [part for part in parts[self.part + 1 :] if not part.blank and not part.thinks]
        if left:
            raise Violation(f"lost: {[part.type for part in left]}")
        if self.part >= 0 and parts[self.part].type == "text" and parts[self.part].text[self.chars :].strip():
            raise Violation(f"lost at the end: {parts[self.part].text[self.chars :][:40]!r}")

    def seen(self, consumer: Consumer) -> Seen:
        """For the model: how far the consumer is."""
        content = [block.content() for block in consumer.blocks]
        return Seen(content, self.part, self.chars, consumer.open is not None)


def _same_start(truth: Fields, shown: Fields) -> bool:
    return truth == shown or (truth["type"] == "text" == shown["type"])


def check_calls(consumer: Consumer, answers: Iterable[Answer]) -> None:
    """No call was invented: each one that was shown whole is one that the source completed."""
    whole = [
        block for block in consumer.blocks if block.type == "tool_use" and block.closed and block.input is not None
    ]
    for block in whole:
        if not any(
            part.start.get("id") == block.start["id"] and part.input == block.input
            for answer in answers
            for part in answer.parts
        ):
            raise Violation(f"an invented call: {block.start!r} with {block.input!r}")


def deadline(
    source: Source, policy: Policy, heard: float, progressed: float, first_at: float, total_at: float, *, pings: int
) -> float:
    """When the wait for the next chunk must end (§9)."""
    if not source.begun:
        return min(first_at, total_at)
    silence_s, progress_s = policy.silence_s, policy.progress_s
    if source.slow:
        progress_s = max(progress_s, policy.progress_slow_s)
        if pings < 2:
            silence_s = max(silence_s, policy.progress_slow_s)
    elif pings >= 2:
        silence_s = min(silence_s, policy.silence_after_pings_s)
    return min(heard + silence_s, progressed + progress_s, total_at)


def must_stop(failure: Failure | None, hints: Fields, policy: Policy, attempts: int, attempts_total: int) -> str | None:
    """Why there may be no further attempt, whatever the plan."""
    if failure is not None and failure.kind in ("rejected", "limit"):
        return "the kind of the failure"
    if hints.get("hopeless") or hints.get("should_retry") is False:
        return "the upstream says so"
    if hints.get("retry_after_s", 0.0) > policy.retry_after_max_s:
        return "retry-after is too long"
    if attempts_total >= policy.attempts_total or attempts >= policy.attempts:
        return "the attempts are used up"
    return None


def check_usage(consumer: Consumer, usages: list[Fields]) -> None:
    """The output counts are the sum over the attempts that were shown (§8)."""
    total = sum(usage.get("output_tokens", 0) for usage in usages)
    if consumer.usage.get("output_tokens", 0) != total:
        raise Violation(f"output_tokens is {consumer.usage.get('output_tokens')}, not {total}")
