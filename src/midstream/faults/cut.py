"""Where the played model was cut: read from a resume request alone.

Rule: it knows its own whole answer, and looks for what was sent back in it; it asks the engine nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from midstream.faults.reply import Block, Reply

Mode = Literal["prefix", "turn", "quote"]
Message = Mapping[str, Any]

_ELEMENT = re.compile(r"<(last_words\w*)>(.*?)</\1>", re.DOTALL)
_MARKER = re.compile(r"<(reply_complete\w*)/>")

# The words of every resume, the documented one's included: without them a quotation may be an ordinary question's.
_RESUMES = re.compile(r"interrupted|cut off|continue|carry on|go on|left off", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the answer goes on, and how the request asked for it."""

    block: int
    """The block of the answer in which, or before which, it goes on."""
    offset: int
    """How much of that block's text was sent back."""
    mode: Mode
    element: str | None = None
    """The name of the element that the reply is to begin with."""
    anchor: str = ""
    """What is to stand in it."""
    marker: str | None = None
    """What to say if there is nothing left to say, without its brackets."""
    lost: bool = False
    """What was sent back is not in the answer: some seam went wrong."""


def find_cut(reply: Reply, messages: Sequence[Message], known: Sequence[Message] | None = None) -> Cut | None:
    """Where this request says that the answer was cut; ``None`` for one that asks for the whole answer.

    ``known`` are the messages of the stream's first request, where there was one: what follows them is the resume.
    Without them a resume is known by its words, or by the beginning of the answer standing in it.
    """
    sure = known is not None and len(messages) > len(known) and list(messages[: len(known)]) == list(known)
    if known is not None and list(messages) == list(known):
        return None
    added = list(messages[len(known) :]) if sure and known is not None else list(messages[-2:])
    if not added:
        return None
    last = added[-1]
    if last.get("role") == "assistant":
        return _prefix(reply, [message for message in added if message.get("role") == "assistant"][-1:], sure)
    words = _words(last)
    if words is None:
        return None
    sent = [message for message in added[:-1] if message.get("role") == "assistant"]
    return _turn(reply, sent, words, sure) or (_quote(reply, words, sure) if not sent or not sure else None)


def _prefix(reply: Reply, sent: Sequence[Message], sure: bool) -> Cut | None:
    block, offset, lost = _walk(reply.blocks, _contents(sent))
    if not sure and (lost or (block, offset) == (0, 0)):
        return None
    return Cut(block, offset, "prefix", lost=lost)


def _turn(reply: Reply, sent: Sequence[Message], words: str, sure: bool) -> Cut | None:
    element, marker = _ELEMENT.search(words), _MARKER.search(words)
    contents = _contents(sent)
    block, offset, lost = _walk(reply.blocks, contents)
    asked = element is not None or marker is not None
    if not contents and element is None:
        # Nothing was sent back: the whole answer again, or a quotation.
        return Cut(0, 0, "turn", marker=marker[1]) if marker else None
    if not asked and not sure and (lost or (block, offset) == (0, 0) or not _RESUMES.search(words)):
        return None
    if element is None:
        return Cut(block, offset, "turn", marker=marker[1] if marker else None, lost=lost)
    offset = _at_anchor(reply.blocks, block, offset, element[2])
    block, offset = _into_text(reply.blocks, block, offset)
    return Cut(block, offset, "turn", element[1], element[2], marker[1] if marker else None, lost)


def _quote(reply: Reply, words: str, sure: bool) -> Cut | None:
    """The plainest form: the bare text stands somewhere in the words, and everything else is framing."""
    if not sure and not _RESUMES.search(words):
        return None
    at, found = 0, None
    for number, block in enumerate(reply.blocks):
        if not block.text.strip():
            continue
        size, end = _quoted(block.text, words, at, first=found is None)
        if not size:
            break
        found, at = (number, size), end
        if size < len(block.text):
            break
    if found is None:
        return Cut(0, 0, "quote", lost=True) if sure else None
    return Cut(*found, "quote")


def _quoted(text: str, words: str, at: int, *, first: bool) -> tuple[int, int]:
    """The size of the longest beginning of the text that stands in the words; and where it ends there."""
    if not first:
        at += len(words[at:]) - len(words[at:].lstrip())
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        inside = text[:middle] in words[at:] if first else words.startswith(text[:middle], at)
        low, high = (middle, high) if inside else (low, middle - 1)
    solid = len(text[:low].rstrip())
    if not solid:
        return 0, at
    end = (words.find(text[:low], at) if first else at) + solid
    # The framing around a quotation begins with an empty line, which is not a part of it.
    run = len(words[end:]) - len(words[end:].lstrip())
    blanks = words[end : end + run].removesuffix("\n\n")
    while solid < low and blanks[:1] == text[solid]:
        solid, end, blanks = solid + 1, end + 1, blanks[1:]
    return solid, end


def _words(message: Message) -> str | None:
    """The text of a user turn; ``None`` for one that also answers a tool, which is no resume."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    blocks = _dicts(content)
    if not blocks or any(block.get("type") != "text" for block in blocks):
        return None
    return "\n".join(str(block.get("text") or "") for block in blocks)


def _contents(messages: Sequence[Message]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for message in messages:
        content = message.get("content")
        blocks += [{"type": "text", "text": content}] if isinstance(content, str) else _dicts(content)
    return blocks


def _dicts(content: object) -> list[dict[str, Any]]:
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _walk(blocks: Sequence[Block], sent: Sequence[Mapping[str, Any]]) -> tuple[int, int, bool]:
    """Follow what was sent back through the answer: the block and the offset where it ends, and whether it got lost."""
    at, offset = 0, 0
    for content in sent:
        place = _next(blocks, at, offset, content)
        if place is None:
            return at, offset, True
        at, offset = place
    # A text that was sent back whole counts as cut at its end: only the request's words say more.
    return at, offset, False


def _next(blocks: Sequence[Block], at: int, offset: int, content: Mapping[str, Any]) -> tuple[int, int] | None:
    for number in range(at, len(blocks)):
        block, begin = blocks[number], offset if number == at else 0
        if content.get("type") == "text" and block.type == "text":
            place = _along(block.text, begin, str(content.get("text") or ""), number)
            if place is not None:
                return place
        elif block.type == content.get("type") and _same(block, content):
            return number + 1, 0
        if block.text[begin:].strip() or block.type == "tool_use":
            return None
    return None


def _along(text: str, begin: int, sent: str, number: int) -> tuple[int, int] | None:
    # A cited text that was cut is sent back as several blocks: each goes on where the one before it ended.
    rest = text[begin:]
    if sent.strip() and rest.startswith(sent):
        return number, begin + len(sent)
    return None


_IDENTITY = ("id", "tool_use_id", "signature", "data", "file_id")


def _same(block: Block, content: Mapping[str, Any]) -> bool:
    for name in _IDENTITY:
        if name in block.content:
            return bool(block.content[name] == content.get(name))
    return all(content.get(name) == value for name, value in block.content.items())


def _at_anchor(blocks: Sequence[Block], block: int, offset: int, anchor: str) -> int:
    """Trailing blanks may have been left out of the turn that was sent back; the anchor still has them."""
    text = blocks[block].text if block < len(blocks) else ""
    end = offset
    while not text[:end].endswith(anchor):
        if end >= len(text) or not text[end].isspace():
            return offset
        end += 1
    return end


def _into_text(blocks: Sequence[Block], block: int, offset: int) -> tuple[int, int]:
    """With an element there is a text that was cut: the last one, even if all of it was sent."""
    if offset == 0 and block > 0 and blocks[block - 1].type == "text":
        return block - 1, len(blocks[block - 1].text)
    return block, offset
