"""Thousands of streams through one gateway, its journal at full sync: ``make load-gateway``.

Four parts: streams at a pace (nothing may be lost), silent streams (what one costs in memory), readers that are slower
than their streams (they wait in the journal, not in memory), and readers that stop (they are cut off, and come back).
Each compares every frame of every stream with what was played.

Rule: exit status 0 says that all of it held; everything that was measured is printed.
"""

import argparse
import sys

from bench.gateway_load import source
from bench.gateway_load.clients import Slow
from bench.gateway_load.run import Result, lagging, paced, silent
from bench.gateway_load.source import Tempo

IDLE_BYTES_MAX = 8 * 1024
"""For each silent stream (issue 3)."""
GROWTH_BYTES_MAX = 1 << 20
"""For each slow reader: its backlog, what is read from the journal for it, and the stream itself."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the parts."""
    options = _options(arguments)
    parts = {"paced": _paced, "silent": _silent, "slow": _slow, "stopped": _stopped}
    problems = [problem for part in options.parts for problem in parts[part](options)]
    for problem in problems:
        print(f"WRONG: {problem}")
    return 1 if problems else 0


def _paced(options: argparse.Namespace) -> list[str]:
    _tell(f"{options.streams:,} streams, {options.rate:g} events a second each, {options.seconds:g} s:")
    tempo = Tempo.of(options.rate, options.seconds)
    result = paced(options.streams, tempo, _tell, *options.arguments)
    frames, cpu_us = result.frames, result.cpu_s / max(result.frames, 1) * 1e6
    _tell(f"  CPU of the gateway: {result.cpu_s:.1f} s in {result.took_s:.1f} s, {cpu_us:.1f} µs a frame")
    return _judged(options.streams, result) + (
        [] if frames == options.streams * source.frames(tempo) else [f"{frames:,} frames arrived"]
    )


def _silent(options: argparse.Namespace) -> list[str]:
    _tell(f"{options.streams:,} silent streams:")
    each = silent(options.streams, _tell, *options.arguments).idle_bytes
    _tell(f"  {each:,.0f} bytes of RSS for each (at most {IDLE_BYTES_MAX:,})")
    return [f"a silent stream costs {each:,.0f} bytes"] if each > IDLE_BYTES_MAX else []


def _slow(options: argparse.Namespace) -> list[str]:
    _tell(f"{options.readers} readers of {options.slow:,} bytes/s, on streams of {options.fast:,} events/s:")
    result, problems = _lagging(options, Slow(options.slow, options.lag * 2))
    if result.cut:
        problems.append(f"{result.cut} readers were cut off, though they went on reading")
    return problems


def _stopped(options: argparse.Namespace) -> list[str]:
    _tell(f"{options.readers} readers that stop, --reader-stall-s {options.stall:g}:")
    # Until it is noticed, its buffers have to fill up first.
    slow = Slow(0, options.stall + options.within)
    result, problems = _lagging(options, slow, "--reader-stall-s", str(options.stall))
    _tell(f"  the last was cut off {result.cut_after_s:.1f} s after it had stopped")
    if result.cut != options.readers:
        problems.append(f"{options.readers - result.cut} readers that had stopped were not cut off")
    return problems


def _lagging(options: argparse.Namespace, slow: Slow, *more: str) -> tuple[Result, list[str]]:
    """The same streams twice: with readers that take all at once, and with these."""
    tempo = Tempo.of(options.fast, options.lag)
    keen = paced(options.readers, tempo, lambda _: None, *options.arguments)
    result = lagging(options.readers, slow, tempo, _tell, *more, *options.arguments)
    grown = (result.growth_bytes - keen.growth_bytes) / options.readers
    ours, theirs = result.growth_bytes / 1e6, keen.growth_bytes / 1e6
    _tell(f"  RSS grew by {ours:.1f} MB, and by {theirs:.1f} MB where readers keep up: that is")
    _tell(f"  {grown / 1024:,.0f} KiB for each lagging reader (at most {GROWTH_BYTES_MAX >> 10:,})")
    problems = [f"a lagging reader costs {grown:,.0f} bytes"] if grown > GROWTH_BYTES_MAX else []
    return result, problems + _judged(options.readers, keen) + _judged(options.readers, result)


def _judged(streams: int, result: Result) -> list[str]:
    _tell(f"  {result.whole:,} of {streams:,} streams whole, {result.frames:,} frames, {len(result.wrong):,} wrong")
    return [] if result.whole == streams else result.wrong[:20] or ["streams are missing"]


def _tell(line: str) -> None:
    print(line, flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_load", description=__doc__)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=10, help="events a second of each stream (default 10)")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readers", type=int, default=20, help="slow readers, and readers that stop (default 20)")
    parser.add_argument("--fast", type=int, default=2000, help="events a second of their streams (default 2000)")
    parser.add_argument("--lag", type=float, default=15, help="seconds that those last (default 15)")
    parser.add_argument("--stall", type=float, default=15, help="--reader-stall-s for readers that stop (default 15)")
    within = "seconds beyond --stall in which those have to be cut off (default 10)"
    parser.add_argument("--within", type=float, default=10, help=within)
    parser.add_argument("--slow", type=int, default=1024, help="bytes a second of slow readers (default 1024)")
    parts = ("paced", "silent", "slow", "stopped")
    parser.add_argument("--parts", default=parts, type=lambda text: text.split(","), help=f"of {', '.join(parts)}")
    parser.add_argument("arguments", nargs="*", help="further arguments of midstream serve, behind --")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
