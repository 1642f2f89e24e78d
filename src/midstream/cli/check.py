"""``midstream check``: what of this machine is known to break streams, before one breaks.

Rule: it parses, calls and prints; what is wrong with what is `midstream.doctor.check`'s.
"""

import argparse
import asyncio
import math
import os
import sys
from pathlib import Path

from midstream.cli import Misuse
from midstream.cli.progress import Progress
from midstream.doctor.check import diagnostics
from midstream.doctor.check.reach import reach
from midstream.doctor.check.run import SDK_READ_S, compared, report
from midstream.doctor.check.timeouts import Probed, read_probed
from midstream.doctor.probe.road import NotAnAddress, target
from midstream.doctor.render import Finding, show
from midstream.settings import Policy

NAME = "check"
HELP = "versions, environment and timeouts that are known to break streams; a file for support"

FINE, FOUND = 0, 1

API = "https://api.anthropic.com"
PING_S = 10.0

# What `midstream probe --json` writes is some kilobytes.
_PROBED_BYTES_MAX = 1 << 20

_EPILOG = """\
examples:
  in CI, before the tests that stream
    midstream check
  for support: what this machine is, without secrets
    midstream check --reach -o diagnostics.json
  works there, dies here: what differs
    midstream check --compare diagnostics.json
  timeouts of this side against the limits of a path
    midstream probe URL --json > path.json; midstream check --probe path.json

Nothing leaves this machine without --reach, which asks the API one question
without a key.
exit status: 0 nothing known against it (notes are no fault), 1 findings,
2 misuse; with --compare 1 if anything differs.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Looks at what is installed and set on this machine; no key, no network unless\nasked for."
    parser.epilog = _EPILOG
    parser.add_argument("--reach", action="store_true", help="also whether the API (or ANTHROPIC_BASE_URL) answers")
    parser.add_argument(
        "--probe", type=Path, metavar="FILE", help="compare timeouts with what `midstream probe --json` found"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write what was found of this machine")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="what differs from another machine's file")
    parser.add_argument("--short", action="store_true", help="without the background of each finding")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Check it; 1 if something is known against it, or differs."""
    there = _other(args.compare) if args.compare is not None else None
    probed = _probed(args.probe) if args.probe is not None else None
    reached, findings = _reached() if args.reach else ({}, ())
    here = diagnostics.gather(os.environ, timeouts(), reached)
    if args.output is not None:
        try:
            diagnostics.write(args.output, here)
        except OSError as problem:
            raise Misuse(f"{args.output} cannot be written: {problem.strerror}") from None
    if there is not None:
        found = compared(here, there, str(args.compare))
    else:
        found = report(here, os.environ, findings, probed)
    show(found, sys.stdout, as_json=args.json, short=args.short)
    ill = bool(found.tables) if there is not None else found.severity in ("error", "warning")
    return FOUND if ill else FINE


def timeouts() -> dict[str, float]:
    """This side's timeouts. Raises what a policy raises that makes no sense."""
    policy = Policy()
    found = {
        "sdk_read_s": SDK_READ_S,
        "recovery_first_event_s": policy.first_event_s,
        "recovery_silence_s": policy.silence_s,
        "recovery_progress_s": policy.progress_s,
    }
    try:
        ping_s = float(os.environ.get("MIDSTREAM_PING_S") or PING_S)
    except ValueError:
        ping_s = math.nan
    if not 0 < ping_s < math.inf:
        raise Misuse("MIDSTREAM_PING_S is no number of seconds")
    return {**found, "gateway_ping_s": ping_s}


def _reached() -> tuple[dict[str, str], tuple[Finding, ...]]:
    url = os.environ.get("ANTHROPIC_BASE_URL", "").strip() or API
    try:
        to = target(url).at("/v1/messages")
    except NotAnAddress as problem:
        raise Misuse(f"ANTHROPIC_BASE_URL: {problem}") from None
    with Progress(lambda elapsed_s: f"asking {to.authority}: {elapsed_s:.0f} s", sys.stderr):
        return asyncio.run(reach(to))


def _other(path: Path) -> diagnostics.Diagnostics:
    try:
        return diagnostics.read(path)
    except diagnostics.NotDiagnostics as problem:
        raise Misuse(str(problem)) from None
    except OSError as problem:
        raise Misuse(f"{path} cannot be read: {problem.strerror}") from None


def _probed(path: Path) -> Probed:
    try:
        with path.open("rb") as file:
            found = read_probed(file.read(_PROBED_BYTES_MAX))
    except OSError as problem:
        raise Misuse(f"{path} cannot be read: {problem.strerror}") from None
    if found is None:
        raise Misuse(f"{path} is not what `midstream probe --json` writes")
    return found
