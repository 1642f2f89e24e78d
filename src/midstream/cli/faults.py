"""``midstream faults``: a server that breaks streams on purpose.

Rule: it parses, calls and prints; what can be broken, and how, is `midstream.faults`'s.
"""

import argparse
import asyncio
import contextlib
import errno
import json
import os
import secrets
import signal
from pathlib import Path

from midstream.cli import Misuse, Unable
from midstream.faults.catalogue import KINDS, Kind
from midstream.faults.listening import Listening
from midstream.faults.models import STYLES
from midstream.faults.probe import FarEnd
from midstream.faults.reply import REPLY_NAMES, Reply
from midstream.faults.script import Script
from midstream.faults.server import FaultServer
from midstream.faults.service import RULES, Attempt
from midstream.faults.wire import NotAStream

NAME = "faults"
HELP = "play a reply over real sockets, and break it as a script says"

PORT = 8787

PROBE_TOKEN_VARIABLE = "MIDSTREAM_PROBE_TOKEN"

_TITLES = {
    "stream": "within the stream",
    "response": "instead of the stream",
    "connection": "before the headers",
}

_EPILOG = f"""\
a script says what is broken on which attempt:
  cut-rst@byte=900                          once, after 900 bytes of the body; then all is well
  cut-clean@event=12; then overloaded; ok   the first, the second and every later attempt
  always silence@50%                        on every attempt, half-way
  on 2: 429 retry-after=3                   on the second attempt only
  503 x3                                    three times in a row
  model=exact; cut-fin@event=5-1            the played model, and one byte before the end of the fifth event
places are @byte=n, @event=n, @fraction=0.5 (or @50%), with +n or -n bytes if wanted; events count from 0.
options are model=, reply=, pace= and rules=. --list has every fault, with its parameters.

a script is chosen, first come first served,
  by the header      x-midstream-fault: cut-rst@byte=900
  by the path        http://127.0.0.1:{PORT}/f/cut-rst@byte=900   as the base URL of a client
  by --script        for every request
attempts are counted for each script; to count those of one stream alone, name it by the header x-midstream-key or
the path /f/<script>/k/<key>.

the played models (--model, or model= in a script):
{{styles}}

the replies that are built in (--reply): {", ".join(REPLY_NAMES)}

examples:
  midstream faults --script 'cut-rst@byte=900; ok'
  midstream faults --capture recorded.sse --script 'always overloaded'
  midstream faults --list
  midstream faults --probe --port 8788
  curl -N http://127.0.0.1:{PORT}/v1/messages -H 'x-midstream-fault: cut-clean@event=12' -d '{{{{"stream": true,
    "model": "claude-sonnet-5-5", "max_tokens": 1000, "messages": [{{{{"role": "user", "content": "Hi"}}}}]}}}}'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the args."""
    styles = "\n".join(f"  {name:20} {line}" for name, line in STYLES.items())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Plays a reply of the Messages API over real sockets, at /v1/messages (server-sent events) and at\n"
        "/model/{id}/invoke-with-response-stream (AWS event stream), and breaks it as a script says.\n"
        "It also plays a model that is asked to go on, and refuses what the real API refuses."
    )
    parser.epilog = _EPILOG.format(styles=styles)
    parser.add_argument("--port", type=int, default=PORT, help=f"where to listen (default {PORT}; 0: any free port)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default 127.0.0.1)")
    parser.add_argument("--script", default="ok", metavar="SCRIPT|FILE", help="what to break: a script, or a file")
    parser.add_argument(
        "--capture", type=Path, metavar="FILE", help="play this recorded stream instead of a built-in one"
    )
    parser.add_argument(
        "--reply", choices=REPLY_NAMES, default="text", help="the built-in reply to play (default text)"
    )
    parser.add_argument("--model", choices=tuple(STYLES), default="obedient", help="how the played model goes on")
    parser.add_argument(
        "--rules", choices=RULES, default="on", help="refuse what the API refuses: always, resumes, never"
    )
    parser.add_argument("--pace", type=float, default=0.0, metavar="SECONDS", help="wait so long between two events")
    parser.add_argument(
        "--probe", action="store_true", help="be the far end of `midstream probe`, and play what that asks for"
    )
    parser.add_argument("--list", action="store_true", help="explain every fault, and end")
    parser.add_argument("--json", action="store_true", help="with --list: as JSON")


def run(args: argparse.Namespace) -> int:
    """Serve until it is interrupted."""
    if args.list:
        print(json.dumps([as_json(kind) for kind in KINDS], indent=2) if args.json else as_table())
        return 0
    server: Listening = make_far_end(args) if args.probe else make_server(args)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server))
    return 0


def make_server(args: argparse.Namespace) -> FaultServer:
    """The server that the arguments ask for. Raises `Misuse`, `ScriptError` and `NotAStream`."""
    if not 0 <= args.port <= 65_535:
        raise Misuse(f"a port is between 0 and 65535, not {args.port}")
    if not 0 <= args.pace < 3600:
        raise Misuse(f"--pace is a number of seconds from 0 to 3600, not {args.pace:g}")
    path = Path(args.script)
    script = Script.load(path) if _is_file(path) else Script.parse(args.script)
    return FaultServer(
        script,
        read_capture(args.capture) if args.capture else Reply.builtin(args.reply),
        host=args.host,
        port=args.port,
        model=args.model,
        pace_s=args.pace,
        rules=args.rules,
        on_attempt=_tell,
    )


def make_far_end(args: argparse.Namespace) -> FarEnd:
    """The far end of a probe. Where others can reach it, it has a token, and makes one if it was given none."""
    if not 0 <= args.port <= 65_535:
        raise Misuse(f"a port is between 0 and 65535, not {args.port}")
    token = os.environ.get(PROBE_TOKEN_VARIABLE, "")
    far_end = FarEnd(token, host=args.host, port=args.port)
    if token or far_end.on_loopback:
        return far_end
    token = secrets.token_urlsafe(24)
    # It was made this moment, for the person who reads this: without it the other end cannot ask.
    print(f"a token for this far end, to be set at the other end:\nexport {PROBE_TOKEN_VARIABLE}={token}", flush=True)
    return FarEnd(token, host=args.host, port=args.port)


def read_capture(path: Path) -> Reply:
    """A recorded stream. Raises `NotAStream`, with one sentence for the person who named the file."""
    try:
        return Reply.from_bytes(path.read_bytes())
    except OSError as problem:
        raise NotAStream(f"the capture {path} cannot be read: {problem.strerror}") from None
    except NotAStream as problem:
        raise NotAStream(f"{path} is not a recorded stream of the Messages API: {problem}") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # A script may be longer than any file name.
        return False


async def _serve(server: Listening) -> None:
    try:
        await server.__aenter__()
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise Unable(f"port {server.port} of {server.host} is in use; choose another one with --port") from None
        raise Unable(f"cannot listen at {server.host} port {server.port}: {problem.strerror or problem}") from None
    what = f"playing {server.service.script}" if isinstance(server, FaultServer) else "the far end of a probe"
    print(f"{what} at {server.url} (Ctrl-C ends it)", flush=True)
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        await server.aclose()


def _tell(attempt: Attempt) -> None:
    about = [f"attempt {attempt.number}", str(attempt.wire), str(attempt.fault)]
    if attempt.cut is not None:
        about.append(f"goes on in block {attempt.cut.block} at {attempt.cut.offset} ({attempt.cut.mode})")
    if attempt.refused:
        about.append(f"refused: {attempt.refused}")
    print("  ".join(about), flush=True)


def as_json(kind: Kind) -> dict[str, object]:
    """One fault as ``--list --json`` has it."""
    return {
        "name": kind.name,
        "line": kind.line,
        "stage": kind.stage,
        "wires": list(kind.wires),
        "place": kind.place,
        "params": dict(kind.params),
        "aliases": list(kind.aliases),
    }


def as_table() -> str:
    """All faults as ``--list`` has them."""
    lines: list[str] = []
    for stage, title in _TITLES.items():
        lines += ["", f"{title}:"]
        lines += [_line(kind) for kind in KINDS if kind.stage == stage]
    return "\n".join(lines[1:])


def _line(kind: Kind) -> str:
    notes = [f"only {kind.wires[0]}"] if len(kind.wires) == 1 else []
    notes += [f"also {alias}" for alias in kind.aliases]
    notes += [f"{name}={value or '…'}" for name, value in kind.params.items()]
    return f"  {kind.name:28} {kind.line}" + (f" ({', '.join(notes)})" if notes else "")
