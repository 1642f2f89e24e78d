"""An error text → what it means, why it happens, and what to do, from the catalogue.

Rule: pure. A text of any kind goes in, a report comes out; where nothing fits, the report says so and what to capture.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from midstream.doctor.entries import Entry, catalogue
from midstream.doctor.match import Hit, rank
from midstream.doctor.normalise import passages
from midstream.doctor.render import Finding, Report, tidy

TEXT_CHARS_MAX = 1 << 20
"""A mebibyte: ten thousand lines of a log. What tells of a failure stands near its end, or was cut out by a person."""

EVIDENCE_CHARS_MAX = 300
"""Four lines of a terminal: enough to know the line again."""

OTHERS_MAX = 5
"""Who reads at night reads no sixth guess."""

CAPTURE = (
    "The whole exception with its chain of causes (`The above exception was the direct cause …`, `[cause]:`): "
    "the one that came first says what the network did.",
    "A recording of the stream as it breaks: `midstream record -- curl -N https://…` takes the times with it and "
    "removes secrets; `midstream diagnose FILE` reads it.",
    "The error log of every proxy in between for the same second, and its access line. A status of 200 there does not "
    "mean that the reply was whole.",
    "Whether bytes were flowing until it broke, and how many seconds after the request and after the last byte it did: "
    "a round number is somebody's limit.",
    "The `request-id` header, the versions of the SDK and of its HTTP library.",
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found for a text."""

    subject: str
    """The line that the text is known by, without secrets."""
    hits: tuple[Hit, ...]
    """The surest first."""
    cut: bool = False
    """Whether the text was longer than what was read."""

    @property
    def best(self) -> Entry | None:
        """The entry that fits best."""
        return self.hits[0].entry if self.hits else None


def explain(text: str, entries: Iterable[Entry] | None = None) -> Explanation:
    """Find the entries of the catalogue that fit a text. Only its last `TEXT_CHARS_MAX` characters are looked at."""
    kept = text[-TEXT_CHARS_MAX:]
    hits = rank(passages(kept), catalogue().values() if entries is None else entries)
    return Explanation(_clipped(subject_of(kept)), tuple(hits), cut=len(text) > len(kept))


def subject_of(text: str) -> str:
    """The line that a text is known by: its first, but of a traceback of Python its last."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        return ""
    return lines[-1 if lines[0].startswith("Traceback ") else 0]


def report_on(explanation: Explanation, *, every: bool = False) -> Report:
    """The report: the entry that fits best in full, the others by name, or, if asked for, in full too."""
    hits = explanation.hits
    facts = (("read", "only the end: the text is longer than a mebibyte"),) if explanation.cut else ()
    if not hits:
        return Report(
            command="explain",
            subject=explanation.subject,
            severity="note",
            verdict="no entry of the catalogue fits this text; here is what to capture next",
            facts=facts,
            advice=CAPTURE,
            data={"matches": []},
        )
    shown = hits if every else hits[:1]
    others = hits[len(shown) :][:OTHERS_MAX]
    return Report(
        command="explain",
        subject=explanation.subject,
        severity="error",
        verdict=_sentence(hits),
        facts=facts,
        findings=tuple(finding_of(hit.entry, hit) for hit in shown),
        advice=tuple(f"It may also be `{hit.entry.id}` ({hit.entry.title}): " + _how(hit.entry) for hit in others),
        data={"matches": [{"id": hit.entry.id, "title": hit.entry.title, "weight": hit.weight} for hit in hits]},
    )


def report_entry(entry: Entry) -> Report:
    """One entry by itself, for who knows its name."""
    return Report("explain", entry.id, "note", entry.title, findings=(finding_of(entry),))


def finding_of(entry: Entry, hit: Hit | None = None) -> Finding:
    """An entry in the words of the one look."""
    return Finding(
        severity="error" if hit else "note",
        title=entry.title,
        id=entry.id,
        means=_flowing(entry.means),
        why=_flowing(entry.why),
        evidence=(_clipped(hit.evidence()),) if hit else (),
        check=entry.check,
        fix=entry.fix,
        cure=entry.cure,
        steps=entry.steps,
        prevent=_flowing(entry.prevent),
        verify=entry.verify,
        versions=_flowing(entry.versions),
        sources=entry.sources,
        related=entry.related,
    )


def _flowing(text: str) -> str:
    """The line ends of a data file are not those of a terminal."""
    return " ".join(text.split())


def _sentence(hits: tuple[Hit, ...]) -> str:
    more = f"; {len(hits) - 1} more may fit" if len(hits) > 1 else ""
    return f"explained by the entry {hits[0].entry.id}{more}"


def _how(entry: Entry) -> str:
    return f"`midstream explain --entry {entry.id}`"


def _clipped(line: str) -> str:
    # Secrets go before the line is cut: half a key does not look like one.
    line = " ".join(tidy(line[: 20 * EVIDENCE_CHARS_MAX]).split())
    return line if len(line) <= EVIDENCE_CHARS_MAX else f"{line[:EVIDENCE_CHARS_MAX]}…"
