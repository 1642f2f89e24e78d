"""``midstream lint``: what the configuration of a proxy does to a stream.

Rule: it parses, calls and prints; what is wrong with a configuration, `midstream.doctor.lint` knows.
"""

import argparse
import json
import sys
from pathlib import Path

import msgspec

from midstream.cli import Misuse
from midstream.doctor.lint import catalogue, edits, kinds, told
from midstream.doctor.lint import run as running
from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import PING_S, STREAM_S, Assumptions, version_of
from midstream.doctor.lint.source import STDIN
from midstream.doctor.render import show

NAME = "lint"
HELP = "what the configuration of a proxy does to a stream, line by line"

HEALTHY, FOUND, MISUSED = 0, 1, 2

_DESCRIPTION = """\
Reads the configuration of proxies and load balancers, follows what it includes
and inherits, and says which lines break a streamed reply, which are missing,
and which do nothing."""

_EPILOG = """\
kinds of file, recognised by their name and content:
{kinds}

a comment at a line, or at the one before it, allows what stands there:
  proxy_read_timeout 600s;   # midstream: allow NGX-READ-TIMEOUT-LONG

exit status: 0 streams pass (notes may be left), 1 errors or warnings, 2 a file
that cannot be checked, or misuse.

examples:
  midstream lint /etc/nginx/nginx.conf --nginx-version 1.26.3
  midstream lint --diff haproxy.cfg          what --fix would write
  midstream lint --sarif *.tf > lint.sarif   for code review
  kubectl get ingress,httproute -A -o yaml | midstream lint -
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG.format(kinds="\n".join(f"  {kind.name:14} {kind.title}" for kind in kinds.KINDS))
    parser.add_argument("files", nargs="*", metavar="FILE", help="configuration files; - is stdin")
    parser.add_argument("--as", dest="kind", choices=kinds.NAMES, metavar="KIND", help="what the files are, see below")
    for program, title in PROGRAMS.items():
        parser.add_argument(f"--{program}-version", metavar="VERSION", help=f"the version of {title} that reads them")
    parser.add_argument(
        "--ping-s",
        type=float,
        default=PING_S,
        metavar="SECONDS",
        help=f"the upstream pings so often (default {PING_S:g})",
    )
    parser.add_argument(
        "--stream-s", type=float, default=STREAM_S, metavar="SECONDS", help=f"the longest stream (default {STREAM_S:g})"
    )
    parser.add_argument(
        "--unbuffered",
        action="store_true",
        help="the upstream answers with X-Accel-Buffering: no, as midstream serve does",
    )
    parser.add_argument("--fix", action="store_true", help="write the changes that are safe")
    parser.add_argument("--diff", action="store_true", help="show what --fix would write, and end")
    parser.add_argument("--sarif", action="store_true", help="as SARIF 2.1.0")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--short", action="store_true", help="without the reasons")
    parser.add_argument("--list", action="store_true", help="list every rule, and end")


PROGRAMS = {"nginx": "nginx", "haproxy": "HAProxy", "caddy": "Caddy", "lighttpd": "lighttpd"}
"""Those whose version decides what a configuration means."""


def run(args: argparse.Namespace) -> int:
    """Check, and show what was found."""
    if args.list:
        print(_as_json() if args.json else _as_text())
        return HEALTHY
    if not args.files:
        raise Misuse("which files? - is stdin; --list lists the rules")
    if sum((args.fix, args.diff, args.sarif, args.json)) > 1 and not (args.fix and args.json):
        raise Misuse("choose one of --fix, --diff, --sarif and --json")
    if args.fix and STDIN in args.files:
        raise Misuse("--fix needs files; for stdin there is --diff")
    assume = assumptions(args)
    result = running.lint(args.files, assume, args.kind)
    if args.diff:
        sys.stdout.write("".join(change.diff for change in running.changes(result)))
    elif args.sarif:
        print(json.dumps(told.sarif(result), indent=2))
    else:
        if args.fix:
            result = _fixed(result, args, assume)
        show(told.report(result, assume), sys.stdout, as_json=args.json, short=args.short)
    for problem in result.problems:
        print(f"midstream lint: {problem}", file=sys.stderr)
    if result.problems:
        return MISUSED
    return FOUND if any(each.severity is not Severity.NOTE for each in result.findings) else HEALTHY


def assumptions(args: argparse.Namespace) -> Assumptions:
    """What the user says that no file does. Raises `Misuse`."""
    versions = {}
    for program in PROGRAMS:
        if (text := getattr(args, f"{program}_version")) is not None:
            try:
                versions[program] = version_of(text)
            except ValueError:
                raise Misuse(f"a version is numbers with dots, such as 1.26.3, not {text}") from None
    for name in ("ping_s", "stream_s"):
        if not 0 < getattr(args, name) <= 1e6:
            raise Misuse(f"--{name.replace('_', '-')} is a number of seconds, not {getattr(args, name):g}")
    return Assumptions(versions, args.ping_s, args.stream_s, args.unbuffered)


def _fixed(result: running.Result, args: argparse.Namespace, assume: Assumptions) -> running.Result:
    """Write what is safe; what is found then."""
    for change in running.changes(result):
        edits.write(Path(change.name), change.after)
        print(f"{change.name}: written", file=sys.stderr)
    return running.lint(args.files, assume, args.kind)


def _as_json() -> str:
    return json.dumps(msgspec.to_builtins(list(catalogue.rules().values())), indent=2)


def _as_text() -> str:
    return "\n".join(f"{rule.id:26} {rule.severity:8} {rule.title}" for rule in catalogue.rules().values())
