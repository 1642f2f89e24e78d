"""Every capture, cut at every byte, by every fault: ``python -m bench.every_cut`` (``--help``).

Rule: exit status 1 says that some message was not what the contract promises, or that an expected cell is empty.
"""

import argparse
import sys
from collections.abc import Sequence

from bench.every_cut import run, table
from bench.every_cut.broken import WAYS, Breaker
from bench.every_cut.captures import ROOT, Capture, captures
from bench.every_cut.cells import MODES, UPSTREAMS, Player
from bench.every_cut.inputs import FAULTS

MISSING = "no shared data: ../shared/data, next to the project, is not there"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = _parser().parse_args(arguments)
    found = [capture for capture in captures(ROOT) if options.only in (None, capture.name)]
    if not found:
        print(f"no capture is named {options.only}" if ROOT.is_dir() else MISSING, file=sys.stderr)
        return 2
    if options.at is not None:
        return _one(found[0], options)
    jobs = run.jobs(found, share=options.share, shard=options.shard, seed=options.seed)
    results = run.results(jobs, processes=options.jobs, name=_name(options), fresh=options.fresh)
    whole = options.share == 1 and options.shard == (1, 1) and options.only is None
    return table.report(results, name=_name(options), whole=whole)


def _name(options: argparse.Namespace) -> str:
    """Of the file that remembers how far this run has come: runs that differ do not overwrite each other's."""
    parts = [options.only] if options.only else []
    parts += [f"share-{options.share:g}-seed-{options.seed}"] if options.share < 1 else []
    return "-".join([*parts, f"shard-{options.shard[0]}-of-{options.shard[1]}"])


def _one(capture: Capture, options: argparse.Namespace) -> int:
    """The cells at one byte, with all that is wrong with them."""
    wrong = 0
    player = Breaker(capture) if options.broken else Player(capture)
    for cell, outcome in player.cells([options.at]):
        wanted = (options.fault, options.mode, options.upstream)
        if all(want in (None, have) for want, have in zip(wanted, (cell.fault, cell.mode, cell.upstream), strict=True)):
            wrong += outcome.problem is not None
            if options.verbose or outcome.problem:
                print(f"{cell.fault:10} {cell.mode:6} {cell.upstream:8} {outcome.end:10} {outcome.problem or 'fine'}")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.every_cut", description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=run.share, default=1.0, metavar="N/M", help="draw a share of the places")
    parser.add_argument("--seed", type=int, default=0, help="for the draw")
    parser.add_argument(
        "--shard", type=run.shard, default=(1, 1), metavar="I/N", help="only the captures of this shard"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--fresh", action="store_true", help="do not go on where an earlier run stopped")
    parser.add_argument("--only", metavar="CAPTURE", help="this capture alone")
    parser.add_argument("--at", type=int, metavar="BYTE", help="with --only: a cut after this byte alone")
    parser.add_argument("--fault", choices=sorted({fault for faults in FAULTS.values() for fault in faults}))
    parser.add_argument("--mode", choices=MODES)
    parser.add_argument("--upstream", choices=(*UPSTREAMS, *WAYS))
    parser.add_argument("--broken", action="store_true", help="with --at: the upstream stays broken")
    parser.add_argument("-v", "--verbose", action="store_true", help="with --at: also what is fine")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
