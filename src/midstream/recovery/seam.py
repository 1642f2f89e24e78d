"""Where two texts meet: what to drop of a continuation, what to keep.

Rule: only what the model said about the seam, or a repetition too long to be an accident, is ever dropped; in doubt,
keep. The result never depends on how the continuation was cut into pieces.
"""

import re
from dataclasses import dataclass
from typing import Literal

from midstream.recovery.anchors import Anchor, anchor_of, fresh_name, spellings

__all__ = ["Anchor", "Join", "MarkerScan", "PrefixJoin", "Rule", "Verdict", "anchor_of", "fresh_name"]

Rule = Literal["element", "anchor", "restart", "none", "tags"]
Verdict = Literal["joined", "complete", "failed", "nothing"]

# A whole text this long is not said twice by accident.
RESTART_CHARS_MIN = 64
# "Certainly, I will continue exactly where I left off:" and its like fit; a line of a reply is usually longer.
LEAD_IN_CHARS_MAX = 80
# White space before the marker is layout and goes with it; no more of it than this is ever held back.
BLANK_CHARS_MAX = 64
# So much of a tag, and nothing else, is a tag that was cut off; less could be a reply.
CUT_TAG_CHARS_MIN = 4


class PrefixJoin:
    """Restores white space once: what was stripped from the request was shown, and the model may say it again."""

    def __init__(self, stripped: str) -> None:
        self._expected = stripped
        self.dropped = 0

    def feed(self, text: str) -> str:
        """Return what may be shown of the text: all but the longest beginning that was stripped."""
        equal = 0
        while equal < min(len(text), len(self._expected)) and text[equal] == self._expected[equal]:
            equal += 1
        self.dropped += equal
        self._expected = self._expected[equal:] if equal == len(text) else ""
        return text[equal:]

    def end(self) -> str:
        """Return what is left: nothing is ever held."""
        return ""


class MarkerScan:
    """Passes text on without the element's tags, up to the marker; nothing after the marker is shown.

    `marker` and `element` are names, as `fresh_name` gives them.
    """

    def __init__(self, marker: str | None, element: str | None = None) -> None:
        self._markers = spellings(marker) if marker else ()
        self._tags = self._markers + (spellings(element) if element else ())
        self._pattern = re.compile("|".join(map(re.escape, self._tags))) if self._tags else None
        self._held = ""
        self.complete = False

    def feed(self, text: str) -> str:
        """Return what may be shown now; what may still become a tag, and blanks before it, are held."""
        if self.complete or self._pattern is None:
            return "" if self.complete else text
        text = self._held + text
        plain: list[str] = []
        passed = 0
        for found in self._pattern.finditer(text):
            plain.append(text[passed : found.start()])
            passed = found.end()
            if found.group() in self._markers:
                self._held, self.complete = "", True
                return _split_blanks("".join(plain))[0]
        rest = text[passed:]
        cut = len(rest) - len(self.cut_tag(rest))
        plain.append(rest[:cut])
        ready, blanks = _split_blanks("".join(plain)) if self._markers else ("".join(plain), "")
        self._held = blanks + rest[cut:]
        return ready

    def end(self) -> str:
        """Return what was held: it did not become a tag."""
        held, self._held = self._held, ""
        return held

    def cut_tag(self, text: str) -> str:
        """Return the end of the text that may be the beginning of a tag."""
        at = text.rfind("<")
        tail = text[at:] if at >= 0 else ""
        return tail if any(tag.startswith(tail) for tag in self._tags) else ""

    def marker_at(self, text: str) -> int:
        """Return where the first marker stands, or -1."""
        return min((at for at in map(text.find, self._markers) if at >= 0), default=-1)


def _split_blanks(text: str) -> tuple[str, str]:
    """Split off the white space at the end, as much of it as may be held."""
    cut = max(len(text.rstrip()), len(text) - BLANK_CHARS_MAX)
    return text[:cut], text[cut:]


class Join:
    """Decides where the first text of a continuation joins the text that was cut (the contract, §7, turn mode).

    `element` and `marker` are names, as `fresh_name` gives them; `None` for what the model was not asked for.
    """

    def __init__(
        self, shown: str, anchor: Anchor | None, element: str | None, marker: str | None, *, hold_chars: int
    ) -> None:
        self._shown = shown
        self._quote = _Quote(anchor.text) if anchor else None
        self._quote_alone = anchor is not None and anchor.unique and anchor.strong
        self._opening = re.compile(f"<{re.escape(element)}(>| ?/>)") if element else None
        self._closing = f"</{element}>"
        self._scan = MarkerScan(marker, element)
        self._again = ""
        self._hold_chars = hold_chars
        self._held = ""
        self._start = 0
        self._equal = 0
        self._gave = False
        self.decided = False
        self.rule: Rule | None = None
        self.dropped = 0
        """Characters of the continuation that the join dropped, tags included."""
        self.empty_element = False
        self.unfinished = False
        """The element was still open when the hold or the text ended."""

    @property
    def complete(self) -> bool:
        """The marker was seen: the message ends here."""
        return self._scan.complete

    @property
    def verdict(self) -> Verdict:
        """What came of it, once the text has ended; `failed` and `nothing` only when nothing at all was shown."""
        if self.complete:
            return "complete"
        if self._gave:
            return "joined"
        return "failed" if self.empty_element or self.unfinished else "nothing"

    def feed(self, text: str) -> str:
        """Take the next piece; return what may be shown now."""
        if not text:
            return ""
        if self.decided:
            return self._pass(text)
        if self._equal:
            return self._follow(text)
        self._held += text
        return self._decide(waits=len(self._held) < self._hold_chars)

    def expire(self) -> str:
        """The time of the hold is over: decide with what there is, unless it still repeats the shown text."""
        if self.decided or self._equal or not self._held.strip():
            return ""
        return self._decide(waits=False)

    def end(self) -> str:
        """The text ended in good order: decide, and return what is left. (A text that broke is simply not ended.)"""
        shown = "" if self.decided else self._end_undecided()
        self.decided = True
        return shown + self._flush()

    def _end_undecided(self) -> str:
        if self._equal:
            return self._settle("none", self._shown[self._start : self._start + self._equal])
        if self._open_at() >= 0:
            self.unfinished, self._held = True, ""
            return ""
        words = self._held.strip()
        if len(words) >= CUT_TAG_CHARS_MIN and self._scan.cut_tag(words) == words:
            self.unfinished, self._held = True, ""
        # Blanks alone may be all that was missing, before a tool call for example.
        return self._settle("none", self._held) if self._held else ""

    def _flush(self) -> str:
        left = self._scan.feed(self._held) + self._scan.end()
        self._held = ""
        self._gave = self._gave or bool(left)
        return left

    def _decide(self, *, waits: bool) -> str:
        held = self._held
        early = held[: self._hold_chars]
        quote = self._quote if self._quote_alone else None
        if quote and early.startswith(quote.text):
            return self._settle("anchor", held[len(quote.text) :])
        if (whole := self._whole()) and held.startswith(whole):
            self._equal = len(whole)
            return self._settle("restart", held[len(whole) :])
        if (at := self._open_at()) >= 0:
            return self._read_element(at, waits=waits)
        if self._scan.marker_at(held) >= 0:
            return self._settle("none", held)
        if waits and (self._may_open(held) or (quote and quote.text.startswith(held))):
            return ""
        if held and whole.startswith(held):
            self._start, self._equal = len(self._shown) - len(whole), len(held)
            return ""
        return self._settle("none", held)

    def _whole(self) -> str:
        """The shown text as a model that starts over says it, perhaps without the blanks it began with; or nothing."""
        if len(self._shown) < RESTART_CHARS_MIN:
            return ""
        return self._shown if self._held[:1].isspace() else self._shown.lstrip()

    def _follow(self, text: str) -> str:
        """Compare by position for as long as the shown text is repeated: nothing needs to be kept for it."""
        at = self._start + self._equal
        ahead = self._shown[at : at + len(text)]
        if not text.startswith(ahead):
            return self._settle("none", self._shown[self._start : at] + text)
        self._equal += len(ahead)
        if self._start + self._equal < len(self._shown):
            return ""
        return self._settle("restart", text[len(ahead) :])

    def _open_at(self) -> int:
        """Where the element begins, if it does so at the start or after at most one short line; else -1."""
        early = self._held[: self._hold_chars]
        found = self._opening.search(early) if self._opening else None
        if found is None or not _is_lead_in(early[: found.start()]):
            return -1
        marker_at = self._scan.marker_at(early)
        return -1 if 0 <= marker_at < found.start() else found.start()

    def _may_open(self, held: str) -> bool:
        return self._opening is not None and _is_lead_in(held[: len(held) - len(self._scan.cut_tag(held))])

    def _read_element(self, at: int, *, waits: bool) -> str:
        opening = self._held.index(">", at) + 1
        early = self._held[: self._hold_chars]
        closing = early.find(self._closing, opening)
        if self._held[opening - 2] == "/":
            inside, after = "", self._held[opening:]
        elif closing >= 0:
            inside, after = early[opening:closing], self._held[closing + len(self._closing) :]
        elif waits:
            return ""
        else:
            return self._give_up_element(at, opening)
        placed = self._quote.find_in(inside, self._shown) if self._quote else None
        if placed is not None:
            return self._settle("element", placed.beyond + after, again=placed.blanks)
        self.empty_element = not inside.strip()
        return self._settle("tags", self._held[:at] + ("" if self.empty_element else inside) + after)

    def _give_up_element(self, at: int, opening: int) -> str:
        """The hold ended inside the element. Without its tag, its words are judged as words without an element are."""
        self.unfinished = True
        inside = self._held[opening:].lstrip()
        early = self._held[opening : self._hold_chars].lstrip()
        if self._quote and self._quote_alone and early.startswith(self._quote.text):
            return self._settle("anchor", inside[len(self._quote.text) :])
        return self._settle("tags", self._held[:at] + self._held[opening:])

    def _settle(self, rule: Rule, text: str, *, again: str = "") -> str:
        """The join is decided: from here on, this text and all that follows is the reply's."""
        self.decided, self.rule = True, rule
        self.dropped = self._equal if rule == "restart" else max(0, len(self._held) - len(text))
        self._held = ""
        self._again = again
        return self._pass(text)

    def _pass(self, text: str) -> str:
        if self._again:
            text = self._drop_again(text)
        ready = self._scan.feed(text)
        self._gave = self._gave or bool(ready)
        return ready

    def _drop_again(self, text: str) -> str:
        """Drop the blanks that the quote lacked if they come after it, all of them; fewer are likely to be new ones."""
        self._held += text
        if len(self._held) < len(self._again) and self._again.startswith(self._held):
            return ""
        text = self._held.removeprefix(self._again)
        self.dropped += len(self._held) - len(text)
        self._again = self._held = ""
        return text


def _is_lead_in(text: str) -> bool:
    line = text.strip()
    return len(line) <= LEAD_IN_CHARS_MAX and "\n" not in line


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where the anchor was found in the element."""

    beyond: str
    """Words of the reply that the model put into the element."""
    blanks: str
    """Blanks at the end of the anchor that the element lacks: they may come again after it."""


class _Quote:
    """The anchor as a model may repeat it: its words are certain, its white space is not."""

    def __init__(self, anchor: str) -> None:
        self.text = anchor
        self._core = anchor.rstrip()
        self._blanks = anchor[len(self._core) :]
        self._words = re.compile(r"\s+".join(map(re.escape, anchor.split())))

    def find_in(self, inside: str, shown: str) -> _Placed | None:
        """Find the anchor in what the element holds; say what is beyond it."""
        if inside.startswith(self.text):
            beyond = inside[len(self.text) :]
            return _Placed(beyond if beyond.strip() else "", "")
        words = inside.strip()
        begin = len(inside) - len(inside.lstrip())
        if len(words) >= len(self._core) and shown.rstrip().endswith(words):
            end = begin + len(words)
        elif found := self._words.match(inside, begin):
            end = found.end()
        elif len(words) < len(self._core) or len(shown) == len(self.text):
            # There is no more to quote than the whole shown text; in other words a short anchor would be an accident.
            return None
        elif found := self._words.search(inside):
            end = found.end()
        else:
            return None
        padding, tail = inside[:begin], inside[end:]
        blanks = tail[: len(tail) - len(tail.lstrip())]
        if len(blanks) < len(tail):
            beyond = tail.removeprefix(self._blanks)
            return _Placed(beyond.rstrip() if padding else beyond, "")
        # With white space of its own before the anchor, what is after it is most likely of the same making.
        said = blanks.startswith(self._blanks) and not (padding and len(blanks) <= len(self._blanks))
        return _Placed("", "" if said else self._blanks)
