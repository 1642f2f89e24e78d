"""How a played model goes on with an answer that was cut.

Rule: whatever the style, the answer itself is never changed; only what stands around its continuation is.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from midstream.faults.cut import Cut
from midstream.faults.reply import Block, Reply

Event = dict[str, Any]

STYLES = {
    "obedient": "says the element with the anchor verbatim, then goes on exactly; says the marker when it had finished",
    "exact": "goes on exactly, without the element",
    "bare-anchor": "says the anchor without its tags, then goes on exactly",
    "lead-in": "says one short line first, then the element, then goes on exactly",
    "starts-over": "says the whole text again from its beginning",
    "white-space": "adds an empty line before the element",
    "white-space-inside": "adds line ends around the anchor inside the element",
    "recaps": "like obedient, but says a summary instead of the marker when it had finished",
}
"""By name, as ``model=`` in a script or ``--model`` chooses them; with what each does."""

LEAD_IN = "Here is the rest of my reply:\n\n"
RECAP = "In short, the answer above covers all of it, and nothing needs to be added."

# A continuation's thinking is signed for a conversation that the caller never sees: `rules` knows it by this.
BOUND = "Y29udGludWF0aW9u"

# An element comes in pieces, as tokens do; a number that does not divide the length of a tag.
_PIECE_CHARS = 7


def go_on(reply: Reply, cut: Cut, style: str = "obedient", attempt: int = 2) -> Reply:
    """The reply to a resume request."""
    contents = list(_contents(reply, cut, style))
    usage = dict(reply.start.get("usage") or {})
    # Its own input: the first request's, and what was sent back. Four characters are about one token.
    usage["input_tokens"] = int(usage.get("input_tokens") or 0) + cut.offset // 4 + 60
    start = {
        **reply.start,
        "id": f"{reply.start.get('id', 'msg_0')}r{attempt}",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    events: list[Event] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(contents):
        events += _events(index, block)
    events += [_ending(ending, events) for ending in reply.endings]
    events += [event for event in reply.events if event.get("type") == "message_stop"]
    return Reply.from_events(events)


def _ending(ending: Event, events: list[Event]) -> Event:
    said = sum(len(str(event.get("delta") or "")) for event in events) // 16 + 1
    return {**ending, "usage": {**(ending.get("usage") or {}), "output_tokens": said}}


def _events(index: int, block: Block) -> Iterator[Event]:
    yield {"type": "content_block_start", "index": index, "content_block": block.start}
    for delta in block.deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    if block.stopped:
        yield {"type": "content_block_stop", "index": index}


def _contents(reply: Reply, cut: Cut, style: str) -> Iterator[Block]:
    cut_text = reply.blocks[cut.block].text if cut.block < len(reply.blocks) else ""
    inside = bool(cut.element) or cut.offset > 0
    rest = cut_text[cut.offset :] if inside else ""
    later = reply.blocks[cut.block + 1 :] if inside else reply.blocks[cut.block :]
    if not rest and not later:
        if words := _when_finished(cut, style):
            yield _text_block(words)
        return
    # Asked for what comes next, the model does not first write the blanks before it; a prefix is simply continued.
    passes_over = cut.mode != "prefix" and not cut.element and later and not rest.strip()
    if inside and not passes_over:
        opening = _opening(cut, style, cut_text[: cut.offset])
        if opening or rest:
            yield _text_rest(reply.blocks[cut.block], cut.offset, opening)
    for block in later:
        yield _thought_again(block)


def _when_finished(cut: Cut, style: str) -> str:
    if cut.marker is None or cut.mode == "prefix":
        return ""
    return RECAP if style == "recaps" else f"<{cut.marker}/>"


def _opening(cut: Cut, style: str, said: str) -> str:
    if style == "starts-over" and cut.mode != "prefix":
        return said
    if cut.element is None or style == "exact":
        return ""
    element = f"<{cut.element}>{cut.anchor}</{cut.element}>"
    openings = {
        "bare-anchor": cut.anchor,
        "lead-in": LEAD_IN + element,
        "white-space": "\n\n" + element,
        "white-space-inside": f"<{cut.element}>\n{cut.anchor}\n</{cut.element}>",
    }
    return openings.get(style, element)


def _text_block(text: str) -> Block:
    deltas = tuple({"type": "text_delta", "text": piece} for piece in _pieces(text))
    return Block({"type": "text", "text": ""}, deltas, {"type": "text", "text": text})


def _pieces(text: str) -> list[str]:
    return [text[at : at + _PIECE_CHARS] for at in range(0, len(text), _PIECE_CHARS)]


def _text_rest(block: Block, offset: int, opening: str) -> Block:
    """The rest of a text in the pieces it came in, behind an opening; citations that stood before the cut are gone."""
    first = str(block.start.get("text") or "")
    deltas: list[Event] = [{"type": "text_delta", "text": first[offset:]}] if first[offset:] else []
    at = len(first)
    for delta in block.deltas:
        piece = str(delta.get("text") or "") if delta.get("type") == "text_delta" else ""
        if not piece:
            deltas += [delta] if at >= offset else []
        elif at + len(piece) > offset:
            deltas.append({**delta, "text": piece[max(0, offset - at) :]})
        at += len(piece)
    opened: list[Event] = [{"type": "text_delta", "text": piece} for piece in _pieces(opening)]
    # One time in two the closing tag and the first words are one token.
    if opened and deltas and offset % 2 and deltas[0].get("type") == "text_delta":
        deltas[0] = {**deltas[0], "text": opened.pop()["text"] + deltas[0]["text"]}
    start = {**block.start, "text": ""}
    return replace(block, start=start, deltas=(*opened, *deltas))


def _thought_again(block: Block) -> Block:
    if block.type != "thinking":
        return block
    deltas = tuple(
        {**delta, "signature": BOUND + str(delta.get("signature") or "")}
        if delta.get("type") == "signature_delta"
        else delta
        for delta in block.deltas
    )
    return replace(block, deltas=deltas)
