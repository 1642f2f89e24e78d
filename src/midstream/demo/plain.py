"""The demo as plain text: for pipes, files, and terminals without rich.

Rule: no escape sequence leaves this module, and each piece is printed once, as it comes.
"""

from collections.abc import Iterable
from typing import TextIO

from midstream.demo.sides import Cut, Ended, Fact, Grew, Mended
from midstream.demo.verdict import NAMES, Verdict, returned


def heading(out: TextIO, prompt: str) -> None:
    """What is about to be seen."""
    print(f"One reply, cut twice. No key, no network: the service is played on this machine.\n\n> {prompt}", file=out)


def show(out: TextIO, title: str, facts: Iterable[Fact]) -> Ended:
    """Print one side as it plays; how it ended."""
    print(f"\n== {title}\n", file=out)
    ended: Ended | None = None
    for fact in facts:
        match fact:
            case Grew(text=text):
                print(text, end="", file=out, flush=True)
            case Mended():
                print(mark(fact), end="", file=out, flush=True)
            case Ended():
                ended = fact
            case Cut() | _:
                pass
    assert ended is not None
    print(f"\n-- {returned(ended)}", file=out, flush=True)
    return ended


def mark(mended: Mended) -> str:
    """The place of a seam."""
    return f"[⟲ cut here: {mended.reason}; continued in {mended.seconds:.1f} s]"


def verdict(out: TextIO, found: Verdict) -> None:
    """What came of it."""
    print(file=out)
    width = max(len(name) for name in NAMES.values()) + 2
    for name, finding in found.lines():
        print(f"{name:{width}} {finding}", file=out)
    if found.mended.report is not None:
        print(f"\n{found.mended.report}", file=out)
