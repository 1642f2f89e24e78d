"""Measures seams: every reply, cut at every character, for every style of model (``python -m bench.seams``).

Rule: the figures in docs/explanation/seams.md come from here, and exit status 1 says that a requirement was missed.
"""

import argparse
import math
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from bench.seams.corpus import CHARS_MIN, Reply, replies
from bench.seams.models import STYLES, Cut, Style
from midstream.recovery.seam import Anchor, Join, anchor_of, fresh_name

HOLD_CHARS = 2000
SLOPPY_RATE_MAX = 0.01
# Beyond so many characters a continuation is long decided: the rest comes in one piece, to save time.
PIECED_CHARS = 3000
EXAMPLES_MAX = 3
JOB_CUTS = 200


@dataclass
class Tally:
    """The outcomes of one style in one category."""

    outcomes: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.outcomes += other.outcomes
        self.examples = (self.examples + other.examples)[:EXAMPLES_MAX]


Key = tuple[int, str, bool]
"""Style, category, repetitive."""


def turn_of(anchor: Anchor, element: str, marker: str) -> str:
    return (
        f"Your reply was cut off. Begin with exactly <{element}>{anchor.text}</{element}>, then go on at the very next "
        f"character. If it was complete, answer only with <{marker}/>."
    )


def pieces(text: str, random: Random) -> Iterator[str]:
    at = 0
    while at < min(len(text), PIECED_CHARS):
        size = random.choice((1, 2, 3, 5, 8, 13, 40, 120))
        yield text[at : at + size]
        at += size
    if at < len(text):
        yield text[at:]


def judge(style: Style, cut: Cut, said: str, join: Join, merged: str) -> str:
    """Name the outcome. What rule 4 keeps on purpose is kept whole: everything shown, and everything said after it."""
    shown = cut.truth[: cut.at]
    if merged == cut.truth:
        return "right"
    if join.verdict in ("failed", "nothing"):
        return "again" if merged == shown else "wrong"
    if join.rule == "none" and merged == shown + said and said.endswith(cut.rest) and style.may_keep(cut):
        return "kept"
    return "wrong"


def run(style: Style, reply: Reply, at: int, anchor: Anchor, names: tuple[str, str], random: Random) -> tuple[str, str]:
    """Play one cut, whole and in pieces; return the outcome and, if it is wrong, what came of it."""
    shown = reply.text[:at]
    cut = Cut(reply.text, at, turn_of(anchor, *names), random)
    said = style.say(cut)
    merged = []
    for chunks in ([said], pieces(said, random)):
        join = Join(shown, anchor, *names, hold_chars=HOLD_CHARS)
        merged.append(shown + "".join([join.feed(chunk) for chunk in chunks]) + join.end())
    outcome = judge(style, cut, said, join, merged[0])
    if merged[0] != merged[1]:
        outcome = "wrong"
    if outcome != "wrong":
        return outcome, ""
    return outcome, f"{reply.name} at {at} ({join.rule}): {shown[-30:]!r} + {said[:90]!r} -> {merged[1][at:][:60]!r}"


@dataclass(frozen=True, slots=True)
class Job:
    """Some of the cuts of one reply."""

    reply: Reply
    first: int
    share: float
    seed: int

    @property
    def cuts(self) -> range:
        return range(self.first, min(self.first + JOB_CUTS, len(self.reply.text) + 1))


def measure(job: Job) -> tuple[dict[Key, Tally], int]:
    reply, share = job.reply, job.share
    random = Random(f"{job.seed} {reply.category} {reply.name} {job.first}")
    tallies: dict[Key, Tally] = {}
    cuts = 0
    for at in job.cuts:
        if random.random() >= share:
            continue
        cuts += 1
        shown = reply.text[:at]
        anchor = anchor_of(shown)
        element, marker = fresh_name("last_words", [shown], []), fresh_name("reply_complete", [shown], [])
        assert element and marker
        for number, style in enumerate(STYLES):
            tally = tallies.setdefault((number, reply.category, reply.repetitive), Tally())
            outcome, example = run(style, reply, at, anchor, (element, marker), random)
            tally.outcomes[outcome] += 1
            if example and len(tally.examples) < EXAMPLES_MAX:
                tally.examples.append(example)
    return tallies, cuts


def missed(style: Style, tallies: dict[Key, Tally], share: float) -> str:
    """Say which requirement this style misses, or nothing. A drawn share has the spread of a draw (three sigma)."""
    number = STYLES.index(style)
    counts = {key: tally.outcomes for key, tally in tallies.items() if key[0] == number}
    wrong = sum(count["wrong"] for count in counts.values())
    ordinary = sum(count["wrong"] for key, count in counts.items() if not key[2])
    cuts = sum(sum(count.values()) for count in counts.values())
    if cuts == 0:
        return "nothing was measured"
    if style.kind == "obedient" and wrong:
        return f"{wrong} wrong, none allowed"
    if style.kind == "exact" and ordinary:
        return f"{ordinary} wrong in ordinary text, none allowed"
    allowed = SLOPPY_RATE_MAX * cuts
    if share < 1:
        allowed += 3 * math.sqrt(allowed)
    if style.kind == "sloppy" and wrong >= allowed:
        return f"{wrong / cuts:.2%} wrong, less than {SLOPPY_RATE_MAX:.0%} allowed"
    return ""


def table(tallies: dict[Key, Tally]) -> Iterator[str]:
    yield "| style | text | cuts | wrong | rate | kept | asked again |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for number, style in enumerate(STYLES):
        for label, repetitive in (("ordinary", False), ("repetitive", True)):
            of_label = [tally.outcomes for key, tally in tallies.items() if (key[0], key[2]) == (number, repetitive)]
            yield row(style.name, label, sum(of_label, Counter()))


def by_category(tallies: dict[Key, Tally]) -> Iterator[str]:
    yield "| style | category | cuts | wrong | rate | kept | asked again |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for (number, category, repetitive), tally in sorted(tallies.items()):
        yield row(STYLES[number].name, f"{category}{' (repetitive)' if repetitive else ''}", tally.outcomes)


def row(style: str, text: str, count: Counter[str]) -> str:
    cuts = sum(count.values())
    rate = count["wrong"] / cuts if cuts else 0.0
    return f"| {style} | {text} | {cuts:,} | {count['wrong']:,} | {rate:.2%} | {count['kept']:,} | {count['again']:,} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.seams", description="Measure where seams go wrong.")
    parser.add_argument("--share", type=float, default=1.0, help="draw this share of the cuts (0.02, or 50: one in 50)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--categories", action="store_true", help="print every category, not only the two labels")
    parser.add_argument("--examples", action="store_true", help="show some of the wrong joins")
    args = parser.parse_args()
    if not args.share > 0 or args.jobs < 1:
        parser.error("--share must be more than 0 and --jobs at least 1")
    share = args.share if args.share <= 1 else 1 / args.share
    corpus = replies()
    firsts = ((reply, first) for reply in corpus for first in range(CHARS_MIN, len(reply.text) + 1, JOB_CUTS))
    jobs = [Job(reply, first, share, args.seed) for reply, first in firsts]
    captured = sum(reply.category == "captured" for reply in corpus)
    print(f"{len(corpus)} replies ({captured} recorded), {sum(len(reply.text) for reply in corpus):,} characters")
    tallies: dict[Key, Tally] = {}
    began, told, cuts = time.monotonic(), 0.0, 0
    with multiprocessing.Pool(args.jobs) as pool:
        for done, (part, part_cuts) in enumerate(pool.imap_unordered(measure, jobs), 1):
            cuts += part_cuts
            for key, tally in part.items():
                tallies.setdefault(key, Tally()).add(tally)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                print(f"  {done}/{len(jobs)} parts, {cuts:,} cuts, {told - began:.0f} s", file=sys.stderr, flush=True)
    print(f"{cuts:,} cuts x {len(STYLES)} styles, whole and in pieces, {time.monotonic() - began:.0f} s\n")
    print("\n".join(by_category(tallies) if args.categories else table(tallies)))
    if args.examples:
        for key in sorted(tallies):
            for example in tallies[key].examples:
                print(f"{STYLES[key[0]].name}: {example}")
    misses = [(style, miss) for style in STYLES if (miss := missed(style, tallies, share))]
    print()
    for style, miss in misses:
        print(f"MISSED: {style.name}: {miss}")
    print("every requirement is met" if not misses else f"{len(misses)} requirements missed")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
