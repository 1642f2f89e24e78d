"""What the model of the simulation has to say: a whole answer, drawn before anything is sent.

Rule: an answer is legal, as the API documents it; everything illegal is a fault, and is drawn in ``faults``.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

Fields = dict[str, Any]

SENTENCES = (
    "The tide tables for the harbour are printed once a year. ",
    "A kettle needs about two minutes to boil, less if it is half full. ",
    "Nobody had asked the lighthouse keeper, who knew the answer. ",
    "It rains more on the western slope than on the eastern one.\n",
    "Take the second road on the left, then keep on to the mill. ",
    "Three cups of flour, one of sugar, and the grated rind of a lemon.\n\n",
)
REFRAINS = ("ha ", "| 1 | 2 |\n", "row row row your boat, ", "0, ", "na na na na\n", "- [ ] item\n", "}\n")
UNICODE = (
    "Überraschung! ",
    "👩‍👩‍👧 ",
    "שלום עולם ",
    "日本語の文章です。",
    "ภาษาไทย",
    "e\u0301te\u0301 ",
    "\u2028",
    "🇩🇪🇫🇷",
)
AWKWARD = (
    "<last_words>",
    "</last_words>",
    "<reply_complete/>",
    "<",
    " \n \n",
    "\t",
    '"\\',
    "data: x\n\n",
    "&amp;",
    "<b>x</b>",
)
BLANKS = (" ", "\n", "\n\n", "  \n\t")

REMOTE_TOOLS = (("web_search", "web_search_tool_result"), ("web_fetch", "web_fetch_tool_result"))
CONTAINER_TOOLS = (("bash_code_execution", "bash_code_execution_tool_result"),)


def pick(rng: Random, values: Any) -> Any:
    """One of these, evenly; faster than `Random.choice`."""
    return values[int(rng.random() * len(values))]


@dataclass(slots=True)
class Part:
    """One content block of the answer."""

    type: str
    start: Fields
    deltas: list[Fields] = field(default_factory=list)
    text: str = ""
    cited: bool = False
    input: Fields | None = None
    """What a call comes to once all of it is there; ``None`` if it is no JSON object."""

    @property
    def blank(self) -> bool:
        """A text block without a visible character."""
        return self.type == "text" and not self.text.strip()

    @property
    def thinks(self) -> bool:
        """One that is never shown of a continuation."""
        return self.type in ("thinking", "redacted_thinking")


@dataclass(slots=True)
class Asked:
    """What of the request shapes an answer."""

    thinking: bool = False
    structured: bool = False
    forced: bool = False
    eager: bool = False
    container: bool = False
    """Whether the reply names the container that it runs in, where it has one."""
    extends: bool = False


@dataclass(slots=True)
class Answer:
    """All that the model will say, and how it stops."""

    parts: list[Part]
    stop_reason: str
    stop_sequence: str | None
    message: Fields
    limits: list[tuple[int, int]] = field(default_factory=list)
    """Where max_tokens stops it: part and character, one for each reply that it takes."""
    spoiled: bool = False
    """A call of it does not parse, though nobody asked for eager streaming."""

    def ending(self) -> tuple[str, tuple[int, int] | None]:
        """How the reply stops that is under way: the reason, and the place if it is before the end."""
        return ("max_tokens", self.limits[0]) if self.limits else (self.stop_reason, None)


def draw_text(rng: Random) -> str:
    """A text: ordinary, or one that repeats itself, or in other scripts, or with what looks like markup."""
    dice = rng.random()
    if dice < 0.5:
        return "".join([pick(rng, SENTENCES) for _ in range(1 + int(rng.random() * 4))])
    if dice < 0.68:
        return str(pick(rng, REFRAINS)) * (1 + int(rng.random() * 40))
    if dice < 0.8:
        return "".join([pick(rng, UNICODE) for _ in range(1 + int(rng.random() * 12))])
    if dice < 0.88:
        pools = (SENTENCES, REFRAINS, UNICODE, AWKWARD, BLANKS)
        return "".join([pick(rng, pick(rng, pools)) for _ in range(1 + int(rng.random() * 10))])
    if dice < 0.92:
        return str(pick(rng, ("no", "ok.", "x", "Yes", "🙂")))
    if dice < 0.95:
        return str(pick(rng, BLANKS))
    if dice < 0.955:
        return "".join([pick(rng, SENTENCES) for _ in range(60)])
    return str(pick(rng, BLANKS)) + str(pick(rng, SENTENCES)) + str(pick(rng, BLANKS))


def pieces(rng: Random, text: str) -> list[str]:
    """A text as tokens come: uneven pieces."""
    if not text:
        return []
    most = pick(rng, (3, 12, 40, 200))
    out, at = [], 0
    while at < len(text):
        size = 1 + int(rng.random() * most)
        out.append(text[at : at + size])
        at += size
    return out


class Draw:
    """Draws the parts of one answer."""

    def __init__(self, rng: Random, asked: Asked) -> None:
        self.rng = rng
        self.asked = asked
        self.parts: list[Part] = []
        self.number = 0

    def id(self, stem: str) -> str:
        """A new id."""
        self.number += 1
        return f"{stem}_{self.number:02}"

    def text(self) -> None:
        """A text, perhaps with citations."""
        rng = self.rng
        text = draw_text(rng)
        if any(len(before.text) >= 64 and text.startswith(before.text) for before in self.parts):
            # That a whole text is said again cannot be told from a model that starts over (§7, rule 3).
            text = f"Once more. {text}"
        cited = not self.asked.structured and rng.random() < 0.08
        start: Fields = {"type": "text", "text": "", "citations": []} if cited else {"type": "text", "text": ""}
        self.parts.append(Part("text", start, text=text, cited=cited))

    def thought(self) -> None:
        """A signed or a redacted thought."""
        rng = self.rng
        if rng.random() < 0.15:
            self.parts.append(Part("redacted_thinking", {"type": "redacted_thinking", "data": "b3BhcXVl"}))
            return
        deltas: list[Fields] = [{"type": "thinking_delta", "thinking": p} for p in pieces(rng, draw_text(rng))]
        if rng.random() < 0.2:
            deltas.append({"type": "thinking_delta", "thinking": "", "estimated_tokens": 7})
        if rng.random() < 0.9:
            deltas.append({"type": "signature_delta", "signature": self.id("c2ln")})
        self.parts.append(Part("thinking", {"type": "thinking", "thinking": "", "signature": ""}, deltas))

    def input_of(self) -> tuple[Fields, list[Fields], Fields]:
        """What a call is given: the input that stands in its start, the fragments, and what they come to."""
        rng, dice = self.rng, self.rng.random()
        if dice < 0.12:  # no fragment at all
            value: Fields = {} if dice < 0.06 else {"path": "a.txt"}
            return value, [{"type": "input_json_delta", "partial_json": ""}] if rng.random() < 0.5 else [], value
        value = {"q": draw_text(rng)[:60], "n": int(rng.random() * 1000)}
        if dice > 0.97:
            value["big"] = "x" * 20_000
        said = _json(value)
        fragments = pieces(rng, said) if len(said) < 2000 else [said[:9000], said[9000:]]
        return {}, [{"type": "input_json_delta", "partial_json": p} for p in ["", *fragments]], value

    def call(self) -> None:
        """A call of one of the client's tools."""
        rng = self.rng
        begun, deltas, value = self.input_of()
        start: Fields = {"type": "tool_use", "id": self.id("toolu"), "name": pick(rng, ("read", "run")), "input": begun}
        if rng.random() < 0.03:
            start["caller"] = {"type": "code_execution_20250825", "tool_id": "srvtoolu_00"}
        elif rng.random() < 0.1:
            start["caller"] = {"type": "direct"}
        self.parts.append(Part("tool_use", start, deltas, input=value))

    def remote(self) -> None:
        """Server or MCP calls with their results: one after the other, side by side, or without a result."""
        rng = self.rng
        calls, results = [], []
        for _ in range(1 if rng.random() < 0.8 else 2):
            begun, deltas, value = self.input_of()
            if rng.random() < 0.4:
                id = self.id("mcptoolu")
                start = {"type": "mcp_tool_use", "id": id, "name": "fetch", "server_name": "m", "input": begun}
                result = "mcp_tool_result"
            else:
                id = self.id("srvtoolu")
                name, result = pick(rng, CONTAINER_TOOLS if rng.random() < 0.2 else REMOTE_TOOLS)
                start = {"type": "server_tool_use", "id": id, "name": name, "input": begun}
            calls.append(Part(str(start["type"]), start, deltas, input=value))
            results.append(
                Part(result, {"type": result, "tool_use_id": id, "content": [{"type": "text", "text": "r"}]})
            )
        if rng.random() < 0.9:
            self.parts += [*calls, *results]
        else:
            self.parts += calls

    def odd(self) -> None:
        """A block that is opaque, or new."""
        dice = self.rng.random()
        if dice < 0.6:
            deltas: list[Fields] = [{"type": "hologram_delta", "light": p} for p in "abc"] if dice < 0.3 else []
            self.parts.append(Part("hologram", {"type": "hologram", "seen": [1]}, deltas))
        elif dice < 0.75:
            self.parts.append(
                Part(
                    "compaction",
                    {"type": "compaction", "content": None},
                    [{"type": "compaction_delta", "content": "what was said before"}],
                )
            )
        elif dice < 0.85:
            to = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}
            self.parts.append(Part("fallback", to))
        else:
            self.parts.append(Part("container_upload", {"type": "container_upload", "file_id": self.id("file")}))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def draw_parts(draw: Draw) -> None:
    """The blocks, in an order that the API could send them in."""
    rng, asked = draw.rng, draw.asked
    if asked.structured:
        if asked.thinking:
            draw.thought()
        draw.text()
        return
    if asked.thinking and rng.random() < 0.8:
        draw.thought()
    if asked.forced:
        draw.call()
        if rng.random() < 0.3:
            draw.call()
        return
    for _ in range(pick(rng, (0, 1, 1, 1, 1, 2, 2, 3, 4))):
        dice = rng.random()
        if dice < 0.6:
            draw.text()
        elif dice < 0.76:
            draw.remote()
        elif dice < 0.84:
            draw.odd()
        elif asked.thinking:
            draw.thought()
        else:
            draw.text()
    for _ in range(pick(rng, (0, 0, 0, 0, 0, 1, 1, 2, 3))):
        draw.call()


def draw_answer(rng: Random, asked: Asked, name: str) -> Answer:
    """A whole answer."""
    draw = Draw(rng, asked)
    draw_parts(draw)
    parts = draw.parts
    called = any(part.type == "tool_use" for part in parts)
    dice = rng.random()
    reason = "tool_use" if called else "end_turn"
    if dice < 0.12:
        reason = pick(rng, ("max_tokens", "refusal", "pause_turn", "model_context_window_exceeded", "daydream"))
    elif dice < 0.16 and not called:
        reason = "stop_sequence"
    elif dice < 0.17:
        reason = "compaction"
    message: Fields = {
        "id": name, "type": "message", "role": "assistant", "model": "claude-of-the-simulation", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1},
    }  # fmt: skip
    if asked.container:
        message["container"] = {"id": "container_1", "expires_at": "2027-01-01T00:00:00Z"}
    answer = Answer(parts, reason, "END" if reason == "stop_sequence" else None, message)
    if rng.random() < (0.5 if asked.extends else 0.04):
        _limit(rng, answer)
    elif parts and parts[-1].type == "tool_use" and rng.random() < 0.02 and parts[-1].deltas[1:]:
        _spoil(answer, asked)
    return answer


def _spoil(answer: Answer, asked: Asked) -> None:
    """The model's own mistake: the last call does not parse."""
    last = answer.parts[-1]
    last.deltas[-1] = {"type": "input_json_delta", "partial_json": last.deltas[-1]["partial_json"][:-1]}
    last.input = None
    answer.spoiled = not asked.eager and answer.stop_reason in ("tool_use", "end_turn", "pause_turn")


def _limit(rng: Random, answer: Answer) -> None:
    """Lets max_tokens stop the answer inside a text or a call, once or twice."""
    places = [
        (number, 1 + int(rng.random() * (len(part.text) - 1)))
        for number, part in enumerate(answer.parts)
        if part.type == "text" and len(part.text) > 1
    ]
    last = len(answer.parts) - 1
    if (
        answer.parts
        and answer.parts[last].type == "tool_use"
        and len(answer.parts[last].deltas) > 2
        and rng.random() < 0.5
    ):
        places.append((last, 1))
    if places:
        answer.limits = sorted({pick(rng, places) for _ in range(1 if rng.random() < 0.7 else 2)})
