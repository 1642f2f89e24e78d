"""The service of the simulation: a model that goes on from any place of its own answer, behind the API's rules.

Rule: an oracle. It reads requests by itself, and asks nothing of ``midstream.recovery``.
"""

import re
from dataclasses import dataclass, field
from random import Random

from simulation.answers import Answer, Fields, Part, pick, pieces

_ELEMENT = re.compile(r"^<(last_words(?:_\d+)?)>(.*)</\1>$", re.DOTALL | re.MULTILINE)
_MARKER = re.compile(r"answer only with <(reply_complete(?:_\d+)?)/> instead")
_TOOL = re.compile(r"inside a call of the tool (.*)\. Make that call now")
Place = tuple[int, int] | None

QUOTED = "Your previous response was interrupted"
KEPT_TYPES = ("compaction", "container_upload")

STYLES = ("obedient",) * 9 + ("exact",) * 6 + ("lead-in", "white-space", "bare-anchor", "starts-over", "recap")
SLOPPY = frozenset({"bare-anchor", "starts-over", "recap"})
"""Those whose words can come twice, or that may be no use at all."""


@dataclass(slots=True)
class Seen:
    """What the consumer has: its blocks as plain dicts, and up to which place of the answer they reach."""

    blocks: list[Fields]
    part: int = -1
    """The part of the answer that the last block is; -1 for none."""
    chars: int = 0
    """How much of it, where it is a text."""
    open: bool = False


@dataclass(slots=True)
class Asked:
    """What a resume request says."""

    form: str
    """``prefix``, ``turn`` or ``quote``."""
    content: list[Fields]
    words: str = ""
    element: str | None = None
    anchor: str = ""
    marker: str | None = None
    tool: str | None = None
    where: str = "between"


@dataclass(slots=True)
class Reply:
    """One reply, as events; and what is to be expected of it."""

    events: list[Fields]
    stop_reason: str
    faithful: bool = True
    """What it adds is exactly what is missing."""
    may_fail: bool = False
    """It may be of no use though it came whole."""
    restates: int = -1
    """The part that a text without an element goes on with, from its beginning or at any place."""
    finished: bool = False
    """There was nothing left to say."""
    notes: list[str] = field(default_factory=list)


def read_request(body: Fields, original: int) -> Asked | None:
    """What was appended to the caller's messages; nothing for the caller's own request."""
    turns = body["messages"][original:]
    if not turns:
        return None
    if turns[-1]["role"] == "assistant":
        return Asked("prefix", turns[0]["content"], where="prefix")
    content = turns[0]["content"] if len(turns) == 2 else []
    words = turns[-1]["content"]
    asked = Asked("quote" if words.startswith(QUOTED) else "turn", content, words)
    if asked.form == "quote":
        return asked  # what is quoted may hold such tags of its own
    if found := _ELEMENT.search(words):
        asked.element, asked.anchor = found.groups()
    if found := _MARKER.search(words):
        asked.marker = found.group(1)
    if found := _TOOL.search(words):
        asked.tool, asked.where = found.group(1), "tool"
    elif "in the middle of its text" in words:
        asked.where = "text"
    return asked


def kept(blocks: list[Fields]) -> list[Fields]:
    """What the API takes back of these blocks, by its documentation."""
    answers = {block.get("tool_use_id") for block in blocks}
    calls = {block.get("id") for block in blocks}
    content = [block for block in blocks if _is_kept(block, answers, calls)]
    while content and content[-1]["type"] in ("thinking", "redacted_thinking"):
        content.pop()
    return content


def _is_kept(block: Fields, answers: set[object], calls: set[object]) -> bool:
    kind = block["type"]
    if kind == "text":
        return bool(block["text"].strip())
    if kind == "thinking":
        return bool(block.get("signature"))
    if kind in ("server_tool_use", "mcp_tool_use"):
        return block["id"] in answers
    if kind.endswith("_tool_result"):
        return block["tool_use_id"] in calls
    return kind == "redacted_thinking" or kind in KEPT_TYPES


def objection(asked: Asked, body: Fields, request: Fields, seen: Seen, family: str) -> str | None:
    """What is wrong with a resume request: with what it sends back, or with what it says."""
    content = kept(seen.blocks)
    if asked.form == "prefix":
        thinks = (request.get("thinking") or {"type": "disabled"})["type"] != "disabled"
        forced = (request.get("tool_choice") or {}).get("type") in ("any", "tool")
        if family != "prefix" or thinks or forced or request.get("output_config"):
            return "a prefix where none is allowed"
        if content and content[-1]["type"] == "text":
            content = [*content[:-1], {**content[-1], "text": content[-1]["text"].rstrip()}]
    if asked.form != "quote" and asked.content != content:
        return f"sent back {asked.content!r}, not {content!r}"
    if asked.form == "quote":
        texts = [block["text"] for block in seen.blocks if block["type"] == "text" and block["text"].strip()]
        if texts and "\n".join(texts) not in asked.words:
            return "the quote is not what was shown"
    last = seen.blocks[-1] if seen.blocks else {"type": "none"}
    if asked.where == "text" and last["type"] != "text":
        return f"says that a text was cut, but the last block is {last['type']}"
    if asked.element is not None:
        if not last["text"].endswith(asked.anchor) or not asked.anchor:
            return f"the anchor {asked.anchor!r} is not the end of {last['text'][-200:]!r}"
        said = f"<{asked.element}>{asked.anchor}</{asked.element}>"
        if any(stop in said for stop in request.get("stop_sequences") or ()):
            return "the element holds a stop sequence"
    return _tag_objection(asked, request, seen) or _edit_objection(body, request)


def _tag_objection(asked: Asked, request: Fields, seen: Seen) -> str | None:
    said = [block["text"] for block in seen.blocks if block["type"] == "text"]
    if asked.element and any(f"<{asked.element}>" in text for text in [*said, repr(request["messages"])]):
        return "the element's name occurs in the conversation"
    if asked.marker and any(f"<{asked.marker}/>" in text for text in [*said, repr(request["messages"])]):
        return "the marker's name occurs in the conversation"
    if asked.marker and any(stop in f"<{asked.marker}/>" for stop in request.get("stop_sequences") or ()):
        return "the marker holds a stop sequence"
    return None


def _edit_objection(body: Fields, request: Fields) -> str | None:
    changed = {name for name in body.keys() | request.keys() if body.get(name) != request.get(name)}
    if changed - {"messages", "container", "max_tokens"}:
        return f"changed {changed} of the request"
    if body["messages"][: len(request["messages"])] != request["messages"]:
        return "changed the caller's messages"
    old, new = request["max_tokens"], body["max_tokens"]
    if not min(old, 256) <= new <= old:
        return f"max_tokens went from {old} to {new}"
    if new != old and (request.get("thinking") or {}).get("budget_tokens"):
        return "max_tokens was lowered beside a thinking budget"
    return None


class Model:
    """Says its answer, whole or from where it was cut."""

    def __init__(self, rng: Random, answer: Answer, style: str, thinks: bool) -> None:
        self.rng = rng
        self.answer = answer
        self.style = style
        self.thinks = thinks
        self.replies = 0
        self.second_thought: list[Part] = []

    def whole(self) -> Reply:
        """The answer from its beginning."""
        reason, limit = self.answer.ending()
        parts = self.answer.parts if limit is None else self.answer.parts[: limit[0] + 1]
        return Reply(self._say(parts, reason, limit, number=0), reason)

    def go_on(self, asked: Asked, seen: Seen, extends: bool) -> Reply:
        """What is missing, in this model's style."""
        answer = self.answer
        if extends and answer.limits:
            answer.limits.pop(0)
        reason, limit = answer.ending()
        part, chars, notes = seen.part, seen.chars, list[str]()
        rest = ""
        if part >= 0 and answer.parts[part].type == "text":
            end = limit[1] if limit is not None and limit[0] == part else None
            rest = answer.parts[part].text[chars:end]
        number = part + 1
        later = answer.parts[number:] if limit is None else answer.parts[number : limit[0] + 1]
        if limit is not None and limit[0] < number:
            later = []
        if asked.where == "tool":  # it writes nothing before the call
            while later and (later[0].blank or later[0].thinks):
                later, number = later[1:], number + 1
            calls = [part for part in later if part.start["type"].endswith("tool_use")]
            if not rest and (not calls or calls[0].start["name"] != asked.tool):
                notes.append(f"asked for a call of {asked.tool!r}, but that is not what is missing")
        if not rest and not later:
            reply = self._finish(asked)
        else:
            reply = self._resume(asked, seen, rest, later, number, reason, limit)
        reply.notes = notes
        return reply

    def _resume(
        self, asked: Asked, seen: Seen, rest: str, later: list[Part], number: int, reason: str, limit: Place
    ) -> Reply:
        rng, style, faithful, may_fail = self.rng, self.style, True, False
        said = f"<{asked.element}>{asked.anchor}</{asked.element}>" if asked.element else ""
        if asked.form == "prefix":
            prefix = kept(seen.blocks)[-1:]
            shown = prefix[0].get("text", "") if prefix else ""
            stripped = shown[len(shown.rstrip()) :]
            again = not rest or rest[0].isspace() or rng.random() < 0.7
            lead = stripped if again and prefix == seen.blocks[-1:] and (rest or rng.random() < 0.5) else ""
            following = rest or next((part.text for part in later if part.type == "text"), "")
            faithful = bool(lead) or not stripped or not following[:1].isspace()
        elif style in ("obedient", "lead-in", "white-space"):
            before = {"lead-in": "Here is the rest:\n", "white-space": "\n\n"}.get(style, "")
            lead = before + said if said else ""
        elif style == "bare-anchor":
            lead, faithful = asked.anchor, not asked.anchor
        elif style == "starts-over" and seen.part >= 0 and self.answer.parts[seen.part].type == "text":
            lead, faithful = self.answer.parts[seen.part].text[: seen.chars], False
        else:
            lead = ""
        if self._looks_repeated(rest or _next_text(later), seen):
            if not said and (asked.where == "text" or asked.form == "quote"):
                faithful = False
            if style not in ("obedient", "lead-in", "white-space") and said:
                faithful = False
        if not rest.strip() and not _says(later):
            may_fail = True  # nothing but blanks: as good as an empty answer
        tags = [name for name in (asked.element, asked.marker, "last_words", "reply_complete") if name]
        if any(tag in text for tag in tags for text in (rest, *(part.text for part in later))):
            faithful, may_fail = False, True  # it talks about the very tags that it is asked for
        parts = list(later)
        if rest or lead:
            old = self.answer.parts[seen.part] if seen.part >= 0 else None
            cited = old is not None and old.cited and bool(rest)
            start: Fields = {"type": "text", "text": "", "citations": []} if cited else {"type": "text", "text": ""}
            parts.insert(0, Part("text", start, text=lead + rest, cited=cited))
            number -= 1
        if limit is not None and limit[0] == seen.part:
            limit = None  # the rest ends there already
        events = self._say(self._after_thought(parts), reason, limit, number=number - len(self.second_thought))
        return Reply(events, reason, faithful=faithful, may_fail=may_fail, restates=seen.part)

    def _after_thought(self, parts: list[Part]) -> list[Part]:
        """A continuation may begin with thinking of its own."""
        self.second_thought = [_thought()] if self.thinks and self.rng.random() < 0.4 else []
        return [*self.second_thought, *parts]

    def _looks_repeated(self, rest: str, seen: Seen) -> bool:
        """Whether the true continuation begins like what was shown, so that nobody could tell it from a repetition."""
        shown = self.answer.parts[seen.part].text[: seen.chars] if seen.part >= 0 else ""
        tail = shown[-24:]
        return bool(rest) and (rest.startswith(shown) or (bool(tail.strip()) and rest.lstrip()[:24] in shown))

    def _finish(self, asked: Asked) -> Reply:
        """There is nothing left to say."""
        said = f"<{asked.element}>{asked.anchor}</{asked.element}>" if asked.element else ""
        dice, may_fail, faithful = self.rng.random(), False, True
        if self.style == "recap" and asked.form != "prefix":
            text, faithful = "In short, all of it was said above.", False
        elif asked.marker and self.style != "exact":
            text = (said if dice < 0.4 else "") + f"<{asked.marker}/>"
        elif asked.marker and dice < 0.7:
            text = f"<{asked.marker}/>"
        else:
            text, may_fail = "", asked.form == "quote" or asked.where in ("text", "tool")
        parts = [Part("text", {"type": "text", "text": ""}, text=text)] if text else []
        events = self._say(self._after_thought(parts), "end_turn", None, number=0)
        return Reply(events, "end_turn", faithful=faithful, may_fail=may_fail, finished=True)

    def _say(self, parts: list[Part], reason: str, limit: Place, *, number: int) -> list[Fields]:
        """The events of these parts; the first of them is part ``number`` of the answer."""
        rng, answer = self.rng, self.answer
        self.replies += 1
        message = dict(answer.message)
        if self.replies > 1:
            message["id"] = f"{message['id']}r{self.replies}"
        ends: Fields = {
            "stop_reason": reason,
            "stop_sequence": answer.stop_sequence if reason == "stop_sequence" else None,
        }
        events: list[Fields] = [{"type": "message_start", "message": message}]
        if rng.random() < 0.6:
            events.append({"type": "ping"})
        index = 0
        for offset, part in enumerate(parts):
            stop_at = limit[1] if limit is not None and limit[0] == number + offset else None
            index += self._block(events, index, part, stop_at)
            if rng.random() < 0.04:
                events.append(pick(rng, ({"type": "ping"}, {"type": "aurora", "colour": "green"})))
        if rng.random() < 0.02:
            events.append({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3}})
        ending: Fields = {"type": "message_delta", "delta": ends, "usage": {"output_tokens": 10 + index}}
        if rng.random() < 0.03:
            ending["context_management"] = {"applied_edits": []}
        if reason == "refusal" and rng.random() < 0.5:
            ends["stop_details"] = {"type": "refusal", "category": None, "fallback_credit_token": "t"}
        events += [ending, {"type": "message_stop"}]
        return events

    def _block(self, events: list[Fields], index: int, part: Part, stop_at: int | None) -> int:
        rng = self.rng
        deltas = part.deltas
        if part.type == "text":
            deltas = [{"type": "text_delta", "text": p} for p in pieces(rng, part.text[:stop_at])]
            if part.cited and deltas:
                cite: Fields = {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "c"}}
                deltas.insert(int(rng.random() * len(deltas)) + 1, cite)
        elif stop_at is not None:
            deltas = deltas[: stop_at + 1]
        events.append({"type": "content_block_start", "index": index, "content_block": part.start})
        for delta in deltas:
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
            if rng.random() < 0.02:
                events.append({"type": "ping"})
            elif rng.random() < 0.01 and part.type == "text":
                events.append(
                    {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": ""}}
                )
            elif rng.random() < 0.01 and part.type == "text":
                events[-1] = {**events[-1], "p": "abcdef"}
        if stop_at is None or rng.random() < 0.6 or part.type == "text":
            events.append({"type": "content_block_stop", "index": index})
        return 1


def _thought() -> Part:
    deltas: list[Fields] = [
        {"type": "thinking_delta", "thinking": "Where was I?"},
        {"type": "signature_delta", "signature": "Ym91bmQ="},
    ]
    return Part("thinking", {"type": "thinking", "thinking": "", "signature": ""}, deltas)


def _next_text(parts: list[Part]) -> str:
    """The text that comes at once, thinking and blanks aside: it may be glued to the one that was cut."""
    return next((part.text for part in parts if not part.blank and not part.thinks), "")


def _says(parts: list[Part]) -> bool:
    return any(not part.blank and not part.thinks for part in parts)
