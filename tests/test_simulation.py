"""The simulation: a few thousand worlds, those that once found something, and that its checkers can fail."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from midstream.recovery import seam
from midstream.recovery.attempt import Attempt
from midstream.recovery.commit import Commit
from midstream.recovery.engine import Engine
from midstream.recovery.past import Past
from midstream.recovery.steps import Step
from simulation.__main__ import Tally, fault_family, live_through
from simulation.world import World

FOUND = Path(__file__).parent.parent / "simulation" / "found"
SHARES, SHARE = 8, 1000
STORIES = sorted(FOUND.glob("*.txt"))


def seeds_of(story: Path) -> list[int]:
    """The seeds that a file of a found bug names."""
    lines = (line.partition(":") for line in story.read_text().splitlines())
    return [int(seed) for name, _, seeds in lines if name == "seeds" for seed in seeds.split(",")]


def is_open(story: Path) -> bool:
    """Whether the bug is known, and not mended yet."""
    return any(line.startswith("open:") for line in story.read_text().splitlines())


OPEN = {seed for story in STORIES if is_open(story) for seed in seeds_of(story)}


@pytest.mark.parametrize("share", range(SHARES))
def test_every_invariant_holds_after_every_step(share: int) -> None:
    tally = live_through(share * SHARE, SHARE)
    assert [failure for failure in tally.failures if failure[0] not in OPEN] == []
    assert tally.seeds == SHARE


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_what_was_found_once_stays_mended(story: Path) -> None:
    seeds = seeds_of(story)
    assert seeds, f"{story.name} names no seeds"
    failed = [seed for seed, _ in (failure for seed in seeds for failure in live_through(seed, 1).failures)]
    assert failed == (seeds if is_open(story) else []), "mended? then take the line 'open:' out of the file"


def test_the_same_seed_is_the_same_world() -> None:
    stories = []
    for _ in range(2):
        world = World(4711, trace=True)
        world.run()
        stories.append(world.story)
    assert stories[0] == stories[1]


def test_what_was_never_met_is_told() -> None:
    assert "seam: restart" in Tally().never()
    assert fault_family("unreachable: dns") == "unreachable"


def _show_everything(self: Commit) -> tuple[int, bool]:
    return len(self._message.blocks), False


def _never_expires(self: Attempt, which: str) -> object:
    return self.garbled("nobody minds")


def _notes_nothing(self: World, step: Step) -> None:
    if step.events:
        self.recorded[-1] += [event.raw for event in step.events]


def _forgets_an_attempt(self: Engine, past: Past, now: float) -> Step:
    return _adopt(self, replace(past, attempts=[*past.attempts[:1], *past.attempts[2:]]), now)


_adopt = Engine.adopt


def _drops_a_character(self: seam.MarkerScan, text: str) -> str:
    return text[1:]


MUTATIONS: dict[str, tuple[type, str, Callable[..., object]]] = {
    "half tool calls are shown": (Commit, "_reach", _show_everything),
    "a silence is called by another name": (Attempt, "expired", _never_expires),
    "a character is lost at the seam": (seam.MarkerScan, "feed", _drops_a_character),
    "the journal is told nothing but what is shown": (World, "record", _notes_nothing),
    "an attempt before the process ended is forgotten": (Engine, "adopt", _forgets_an_attempt),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_checkers_can_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, method, mutant = MUTATIONS[name]
    monkeypatch.setattr(owner, method, mutant)
    tally = live_through(0, 400 if owner not in (World, Engine) else 3000)
    assert any("simulation itself" not in violation for _, violation in tally.failures), name
