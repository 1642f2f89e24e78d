"""``midstream probe``: what happens to a stream on this very path.

Rule: it parses, calls and prints; what is asked, and what follows from it, is `midstream.doctor.probe`'s.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from dataclasses import replace

from midstream.cli import Misuse, Unable
from midstream.cli.faults import PROBE_TOKEN_VARIABLE
from midstream.cli.progress import Progress
from midstream.doctor.probe import onesided, told, verdicts
from midstream.doctor.probe.asking import Asking, NoFarEnd
from midstream.doctor.probe.keyed import MODEL, Keyed
from midstream.doctor.probe.proxies import NoProxy, proxy_for
from midstream.doctor.probe.questions import MARGIN_S
from midstream.doctor.probe.road import NotAnAddress, Target, reason, target
from midstream.doctor.probe.run import Plan, probe
from midstream.doctor.render import Report, show
from midstream.faults.probe import FarEnd

NAME = "probe"
HELP = "what happens to a stream on this very path: batches, limits, cuts, and what to change"

HEALTHY, ILL = 0, 1

TOKEN_VARIABLE = PROBE_TOKEN_VARIABLE

# Below it nothing that lasts could be told from a slow machine; an hour is what the far end plays.
UP_TO_S_MIN, UP_TO_S_MAX = 3.0, 3600.0
UP_TO_S, QUICK_UP_TO_S, QUICK_MARGIN_S = 130.0, 16.0, 6.0

# Three replies of some seconds each.
KEYED_S = 15.0

_EPILOG = f"""\
two-ended: a far end of midstream's stands where the service stands, behind the
same proxies, and plays the streams that it is asked for
  there   midstream faults --probe --port 8788
  here    midstream probe https://that.very.path/v1/messages
or both ends on this machine, with a proxy in between that sends what it gets
to port 8788
  midstream probe http://127.0.0.1:8080 --far-end 127.0.0.1:8788
When the far end is not on the loopback it has a token; both ends read it from
{TOKEN_VARIABLE}.

one-ended, of the API itself or a gateway to it: three short replies, some
hundred tokens; limits are not looked for
  midstream probe https://api.anthropic.com --key-env ANTHROPIC_API_KEY

exit status: 0 healthy (notes are no illness), 1 findings or no far end,
2 misuse. Progress goes to stderr.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Sends known streams along a path and compares what left with what came:\n"
        "delivered at once or in batches, and why; limits on silence and on the whole;\n"
        "what a cut looks like; sizes; which proxies fit."
    )
    parser.epilog = _EPILOG
    parser.add_argument("url", metavar="URL", help="where a client would send its question")
    parser.add_argument("--far-end", metavar="HOST:PORT", help="start the far end here, on this machine")
    parser.add_argument("--key-env", metavar="NAME", help="no far end: ask the API, with the key in this variable")
    parser.add_argument("--model", default=MODEL, help=f"with --key-env: the model to ask (default {MODEL})")
    limit = f"look for limits up to so long (default {UP_TO_S:g}, at most {UP_TO_S_MAX:g})"
    parser.add_argument("--up-to", type=float, metavar="SECONDS", help=limit)
    parser.add_argument("--quick", action="store_true", help=f"under 30 s: limits up to {QUICK_UP_TO_S:g} s only")
    parser.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="send this too; may be repeated"
    )
    parser.add_argument("--http1", action="store_true", help="do not try HTTP/2")
    proxy = "go through this proxy, or through none (default: that of the environment)"
    parser.add_argument("--proxy", metavar="URL|none", help=proxy)
    parser.add_argument("--insecure", action="store_true", help="do not check the certificate")
    parser.add_argument("--short", action="store_true", help="without the background of each finding")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Probe it; 1 if something is ill."""
    to, up_to_s = _target(args.url, args.proxy), _up_to_s(args)
    if args.key_env is not None:
        return _shown(args, _keyed(args, to))
    asking = Asking(
        to,
        os.environ.get(TOKEN_VARIABLE, ""),
        tuple(_header(text) for text in args.header),
        insecure=args.insecure,
        margin_s=QUICK_MARGIN_S if args.quick else MARGIN_S,
    )
    plan = Plan(up_to_s, http2=not args.http1, quick=args.quick)
    with contextlib.ExitStack() as stack:
        if args.far_end is not None:
            _start(_far_end(args.far_end, asking.token), args.far_end, stack)
        said = _Said(up_to_s)
        stack.enter_context(said.progress)
        found = _probed(asking, plan, said, args.url)
    return _shown(args, found)


def _shown(args: argparse.Namespace, found: Report) -> int:
    show(found, sys.stdout, as_json=args.json, short=args.short)
    return ILL if told.is_ill(found) else HEALTHY


def _keyed(args: argparse.Namespace, to: Target) -> Report:
    """The probe from one side."""
    if args.far_end is not None:
        raise Misuse("--far-end and --key-env exclude each other: either both ends are ours, or one")
    key = os.environ.get(args.key_env, "").strip()
    if not key:
        raise Misuse(f"{args.key_env} is not set: it is the name of a variable that holds a key")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Misuse(f"what {args.key_env} holds is no key: it has blanks or letters that no header may have")
    if not to.path.partition("?")[0].rstrip("/").endswith("/v1/messages"):
        to = to.at("/v1/messages")
    headers = tuple(_header(text) for text in args.header)
    keyed = Keyed(to, key, args.model, headers, insecure=args.insecure, quick=args.quick)
    said = _Said(KEYED_S)
    with said.progress:
        return onesided.report(asyncio.run(keyed.probe(said.say)), args.url)


def _probed(asking: Asking, plan: Plan, said: "_Said", url: str) -> Report:
    try:
        seen = asyncio.run(probe(asking, plan, said.say))
    except NoFarEnd as problem:
        raise Unable(
            f"no far end answers there: {problem}. Start one behind the same proxies with `midstream faults --probe`,"
            " or give a key with --key-env"
        ) from None
    return told.report(seen, verdicts.judge(seen), url)


class _Said:
    """What is being done, with how long it has been and will be about."""

    def __init__(self, lasts_s: float) -> None:
        self._lasts_s = lasts_s
        self._text = "asking"
        self.progress = Progress(self._line, sys.stderr)

    def say(self, text: str) -> None:
        """Tell it now."""
        self._text = text
        self.progress.tell()

    def _line(self, elapsed_s: float) -> str:
        return f"{elapsed_s:4.0f} of about {self._lasts_s + 5:.0f} s: {self._text}"


def _target(url: str, proxy: str | None) -> Target:
    try:
        to = target(url)
        return replace(to, proxy=proxy_for(to.secure, to.host, proxy))
    except (NotAnAddress, NoProxy) as problem:
        raise Misuse(str(problem)) from None


def _up_to_s(args: argparse.Namespace) -> float:
    if args.quick and args.up_to is not None:
        raise Misuse("--quick and --up-to exclude each other")
    seconds: float = QUICK_UP_TO_S if args.quick else UP_TO_S if args.up_to is None else args.up_to
    if not UP_TO_S_MIN <= seconds <= UP_TO_S_MAX:
        raise Misuse(f"--up-to is a number of seconds from {UP_TO_S_MIN:g} to {UP_TO_S_MAX:g}, not {seconds:g}")
    return seconds


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    token = name.isascii() and bool(name) and all(letter.isalnum() or letter in "!#$%&'*+-.^_`|~" for letter in name)
    if not colon or not token or not value.isascii() or not value.isprintable():
        raise Misuse("--header is 'NAME: VALUE', in ASCII")
    return name, value


def _far_end(place: str, token: str) -> FarEnd:
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise Misuse("--far-end is HOST:PORT, such as 127.0.0.1:8788")
    far_end = FarEnd(token, host=host.strip("[]") or "127.0.0.1", port=int(port))
    if not far_end.on_loopback and not token:
        raise Misuse(f"a far end that others can reach needs a token: set {TOKEN_VARIABLE}")
    return far_end


def _start(far_end: FarEnd, place: str, stack: contextlib.ExitStack) -> None:
    try:
        stack.enter_context(far_end)
    except OSError as problem:
        raise Unable(f"no far end can listen at {place}: {reason(problem)}") from None
