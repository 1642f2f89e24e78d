"""Random inputs into everything that reads what a remote sends (``python -m fuzz``, ``make fuzz``).

Rule: a seed repeats a run, and an input that brought out something is a file that repeats it alone.

    python -m fuzz [--seconds n] [--seed n] [--target decoders|dialects|engine] [--all]
    python -m fuzz FILE…            play these inputs again
    python -m fuzz --target engine --atheris [libFuzzer's arguments]
"""

import argparse
import re
import sys
import time
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random, SystemRandom
from types import SimpleNamespace
from typing import Any
from zlib import crc32

from fuzz import fuzz_decoders, fuzz_dialects, fuzz_engine

ROOT = Path(__file__).resolve().parent.parent
NEW = ROOT / "var" / "fuzz"
FOUND = ROOT / "fuzz" / "found"
"""Inputs that once brought out something; they are played again by the tests."""

SHRINK_S = 10.0
PROGRESS_S = 5.0
TRACE_CHARS_MAX = 3000


def _make_wire(draw: Random) -> bytes:
    return draw.choice((fuzz_decoders.random_sse, fuzz_decoders.random_eventstream))(draw)


DECODERS = SimpleNamespace(
    make=_make_wire,
    check=fuzz_decoders.check_any,
    dump_case=fuzz_dialects.dump_case,
    load_case=fuzz_dialects.load_case,
    from_bytes=fuzz_dialects.from_bytes,
    shrink=fuzz_dialects.shrink,
)
TARGETS: dict[str, Any] = {"decoders": DECODERS, "dialects": fuzz_dialects, "engine": fuzz_engine}
SUFFIXES = {"decoders": ".bin", "dialects": ".bin", "engine": ".json"}


@dataclass(frozen=True)
class Crash:
    """An input that brought out something that is not documented."""

    target: str
    case: Any
    place: str
    """The exception, and where it came from: two inputs with one place are one bug, most likely."""
    trace: str


def attempt(target: str, case: Any) -> Crash | None:
    """One input; what it brought out, if that is not documented."""
    try:
        TARGETS[target].check(case)
    except Exception as error:
        # The longest trace is that of a recursion: its end says as much.
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        if isinstance(error, AssertionError):  # one line of a fuzzer has many reasons
            place += f" ({re.sub('[0-9]+', 'n', str(error))[:60]})"
        return Crash(target, case, place, traceback.format_exc(limit=-8)[-TRACE_CHARS_MAX:])
    return None


def run(
    target: str, seconds: float, seed: int, *, inputs: int | None = None, quiet: bool = True
) -> tuple[int, Crash | None]:
    """Random inputs until the time is over, or so many; how many there were, and the crash that ended it."""
    begun = said = time.monotonic()
    count = 0
    while (now := time.monotonic()) < begun + seconds and count != inputs:
        # Each input has its own seed: none depends on those before it.
        found = attempt(target, TARGETS[target].make(Random(f"{seed} {count}")))
        count += 1
        if found is not None:
            return count, found
        if not quiet and now > said + PROGRESS_S:
            said = now
            print(f"{target}: {count:,} inputs, {now - begun:.0f} of {seconds:g} s", flush=True)
    return count, None


def keep(crash: Crash) -> Path:
    """Makes the input smaller, and a file."""

    def fails(case: Any) -> bool:
        try:
            found = attempt(crash.target, case)
        except BaseException:  # what is left is no case any more
            return False
        return found is not None and found.place == crash.place

    target = TARGETS[crash.target]
    data = target.dump_case(target.shrink(crash.case, fails, SHRINK_S))
    NEW.mkdir(parents=True, exist_ok=True)
    path = NEW / f"{crash.target}-{crc32(data):08x}{SUFFIXES[crash.target]}"
    path.write_bytes(data)
    return path


def replay(path: Path) -> Crash | None:
    """An input from its file, whose name begins with its target."""
    target = path.name.partition("-")[0]
    return attempt(target, TARGETS[target].load_case(path.read_bytes()))


def fuzz(names: list[str], seconds: float, seed: int, *, everything: bool) -> int:
    """Each target for its share of the time; the exit status."""
    places = set[str]()
    for name in names:
        before = len(places)
        end = time.monotonic() + seconds / len(names)
        print(f"{name}: {seconds / len(names):g} s of random inputs, seed {seed}", flush=True)
        total = 0
        while (left := end - time.monotonic()) > 0:
            count, crash = run(name, left, seed + total, quiet=False)
            total += count
            if crash is None:
                continue
            if crash.place not in places:
                places.add(crash.place)
                path = keep(crash)
                print(crash.trace, file=sys.stderr)
                print(f"{name}: {crash.place}, after {total:,} inputs: {path}", file=sys.stderr)
                print(f"repeat it: python -m fuzz {path}", file=sys.stderr, flush=True)
                if not everything:
                    return 1
        new = len(places) - before
        print(f"{name}: {total:,} inputs, {f'{new} places' if new else 'nothing found'}", flush=True)
    return 1 if places else 0


def run_atheris(name: str, arguments: list[str]) -> int:
    """Guided by coverage, where atheris is installed: an optional tool of the developer's, and never a dependency."""
    try:
        atheris = import_module("atheris")
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    target = TARGETS[name]

    def one(data: bytes) -> None:
        crash = attempt(name, target.from_bytes(data))
        if crash is not None:
            print(f"{crash.trace}repeat it: python -m fuzz {keep(crash)}", file=sys.stderr, flush=True)
            raise AssertionError(crash.place)

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description="Random inputs into the decoders and the engine."
    )
    parser.add_argument("files", nargs="*", type=Path, help="inputs to play again")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together; default 60")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run")
    parser.add_argument("--target", choices=sorted(TARGETS), default=None, help="only this one; default all")
    parser.add_argument("--all", action="store_true", help="do not stop at the first crash: one file for each place")
    parser.add_argument("--atheris", action="store_true", help="be guided by coverage; what follows is libFuzzer's")
    options, rest = parser.parse_known_args()
    if options.atheris:
        return run_atheris(options.target or "engine", [*map(str, options.files), *rest])
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if options.files:
        crashes = [crash for path in options.files if (crash := replay(path)) is not None]
        for crash in crashes:
            print(f"{crash.trace}{crash.target}: {crash.place}", file=sys.stderr)
        print(f"{len(options.files)} inputs, {len(crashes)} of them crash")
        return 1 if crashes else 0
    names = [options.target] if options.target else list(TARGETS)
    seed = SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    return fuzz(names, options.seconds, seed, everything=options.all)


if __name__ == "__main__":
    sys.exit(main())
