"""The styles of model that the seam is measured with.

Rule: an oracle that imports the code under test cannot fail. A model knows its whole answer, where it was cut, and the
user turn; it reads the names of element and marker from that turn by itself, and decides nothing about the seam.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal


@dataclass(frozen=True, slots=True)
class Cut:
    truth: str
    at: int
    turn: str
    """The user turn, as the model reads it."""
    random: Random

    @property
    def rest(self) -> str:
        return self.truth[self.at :]

    @property
    def finished(self) -> bool:
        return self.at == len(self.truth)

    @property
    def anchor(self) -> str:
        return self._element.group(2)

    @property
    def opening(self) -> str:
        return f"<{self._element.group(1)}>"

    @property
    def closing(self) -> str:
        return f"</{self._element.group(1)}>"

    @property
    def element(self) -> str:
        return self._element.group(0)

    @property
    def marker(self) -> str:
        found = re.search(r"<[a-z]+_complete[_0-9]*/>", self.turn.replace(self.element, ""))
        assert found is not None
        return found.group()

    @property
    def _element(self) -> re.Match[str]:
        found = re.search(r"<([a-z]+_words[_0-9]*)>(.*)</\1>", self.turn, re.DOTALL)
        assert found is not None
        return found


LEAD_INS = (
    "Sure, continuing from where I left off:\n\n",
    "Continuing:\n",
    "I apologize for the interruption. Here is the rest of my reply:\n\n",
    "Of course! ",
    "**Continued:**\n",
    "好的，我接着写：\n\n",
)
RECAPS = ("In summary, all of the points above stand.", "To recap what I said:\n\n", "That was my whole reply. ")
BREAKS = ("\n", "\n\n", " ", "\r\n", "  \n")


def obedient(cut: Cut) -> str:
    return cut.marker if cut.finished else cut.element + cut.rest


def obedient_element_and_marker(cut: Cut) -> str:
    return cut.element + (cut.marker if cut.finished else cut.rest)


def exact(cut: Cut) -> str:
    return cut.marker if cut.finished else cut.rest


def exact_silent(cut: Cut) -> str:
    return cut.rest


def anchor_without_tags(cut: Cut) -> str:
    return cut.marker if cut.finished else cut.anchor + cut.rest


def lead_in(cut: Cut) -> str:
    return cut.random.choice(LEAD_INS) + obedient_element_and_marker(cut)


def lead_in_only(cut: Cut) -> str:
    return cut.marker if cut.finished else cut.random.choice(LEAD_INS) + cut.rest


def starts_over(cut: Cut) -> str:
    return cut.truth


def blanks_before(cut: Cut) -> str:
    return cut.random.choice(BREAKS) + obedient_element_and_marker(cut)


def blanks_inside(cut: Cut) -> str:
    layout = cut.random.choice(BREAKS)
    return f"{cut.opening}{layout}{cut.anchor}{layout}{cut.closing}" + (cut.marker if cut.finished else cut.rest)


def blanks_before_and_inside(cut: Cut) -> str:
    return cut.random.choice(BREAKS) + blanks_inside(cut)


def blanks_before_marker(cut: Cut) -> str:
    return cut.element + cut.rest + cut.random.choice(BREAKS) + cut.marker if cut.finished else obedient(cut)


def blanks_reflowed(cut: Cut) -> str:
    """All white space of the quote becomes single blanks; what was lost at its end is said again after the tag."""
    words, blanks = " ".join(cut.anchor.split()), cut.anchor[len(cut.anchor.rstrip()) :]
    return f"{cut.opening}{words}{cut.closing}" + (cut.marker if cut.finished else blanks + cut.rest)


def blanks_trimmed(cut: Cut) -> str:
    """Blanks at the end of the quote are left out, and nevertheless what follows is exact."""
    return f"{cut.opening}{cut.anchor.strip()}{cut.closing}" + (cut.marker if cut.finished else cut.rest)


def blanks_after(cut: Cut) -> str:
    return obedient(cut) if cut.finished else cut.element + cut.random.choice(BREAKS) + cut.rest


def laid_out(cut: Cut) -> str:
    return obedient(cut) if cut.finished else f"{cut.opening}\n{cut.anchor}\n{cut.closing}\n{cut.rest}"


def recaps(cut: Cut) -> str:
    """Obeys, but where it had finished it does not leave it at the marker."""
    if not cut.finished:
        return obedient(cut)
    return cut.random.choice((cut.marker + cut.random.choice(RECAPS), cut.element + cut.marker + "\n\n" + RECAPS[0]))


def recaps_first(cut: Cut) -> str:
    if not cut.finished:
        return obedient(cut)
    recap = cut.random.choice(RECAPS)
    return cut.random.choice((recap, cut.element + recap, recap + "\n\n" + cut.marker))


def goes_beyond(cut: Cut) -> str:
    """Completes the word or the sentence inside the element."""
    if cut.finished:
        return obedient(cut)
    found = re.match(rf"\s*\S+(?:\s+\S+){{0,{cut.random.randrange(6)}}}", cut.rest)
    more = found.group() if found else ""
    return cut.opening + cut.anchor + more + cut.closing + cut.rest[len(more) :]


def quotes_more(cut: Cut) -> str:
    """Begins the quote earlier than it was told to."""
    shown = cut.truth[: cut.at]
    more = shown[: len(shown) - len(cut.anchor)][-cut.random.randrange(1, 60) :]
    return cut.opening + more + cut.anchor + cut.closing + (cut.marker if cut.finished else cut.rest)


def quotes_less(cut: Cut) -> str:
    """Leaves out the first words of the quote."""
    words = cut.anchor.split(" ")
    return cut.opening + " ".join(words[len(words) // 2 :]) + cut.closing + (cut.marker if cut.finished else cut.rest)


def forgets_to_close(cut: Cut) -> str:
    return obedient(cut) if cut.finished else cut.opening + cut.anchor + cut.rest


def anchor_proves_nothing(cut: Cut) -> bool:
    """Without its tags, an anchor that is short, or that the text has twice, cannot be told from a repetition."""
    shown, anchor = cut.truth[: cut.at], cut.anchor
    words = re.findall(r"\w+", anchor)
    few = len(words) < 3 and (not words or len(anchor.split()) > 1)
    return len(anchor) < 24 or few or shown.find(anchor) != len(shown) - len(anchor)


@dataclass(frozen=True, slots=True)
class Style:
    name: str
    say: Callable[[Cut], str]
    kind: Literal["obedient", "exact", "sloppy", "told"]
    """What is required: 0 wrong; 0 wrong in ordinary text; under 1 %; nothing, the figure is only told."""
    may_keep: Callable[[Cut], bool] = lambda cut: False
    """Whether the contract wants what it says to be kept, although it is a repetition (§7, rule 4)."""


STYLES = (
    Style("obedient", obedient, "obedient"),
    Style("obedient, element and marker", obedient_element_and_marker, "obedient"),
    Style("exact, without the anchor", exact, "exact"),
    Style("exact, without anchor and marker", exact_silent, "exact"),
    Style("anchor without its tags", anchor_without_tags, "sloppy", anchor_proves_nothing),
    Style("a lead-in first", lead_in, "sloppy"),
    Style("starts over", starts_over, "sloppy"),
    Style("white space before", blanks_before, "sloppy"),
    Style("white space inside", blanks_inside, "sloppy"),
    Style("white space before and inside", blanks_before_and_inside, "sloppy"),
    Style("white space around the marker", blanks_before_marker, "sloppy"),
    Style("white space reflowed, said again", blanks_reflowed, "sloppy"),
    Style("white space trimmed, not said again", blanks_trimmed, "sloppy"),
    Style("marker, then a recap", recaps, "sloppy"),
    Style("recap for the marker", recaps_first, "sloppy"),
    Style("goes on inside the element", goes_beyond, "sloppy"),
    Style("quotes more than asked", quotes_more, "sloppy"),
    Style("forgets the closing tag", forgets_to_close, "told"),
    Style("quotes less than asked", quotes_less, "told"),
    Style("a lead-in without the element", lead_in_only, "told", lambda cut: True),
    Style("white space after the element", blanks_after, "told"),
    Style("element on lines of its own", laid_out, "told"),
)
