"""``midstream record``: a timed recording of one reply.

Rule: it parses, calls and prints; what is recorded, and how, is `midstream.doctor.record`'s.
"""

import argparse
import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path

from midstream.cli import Misuse
from midstream.cli.progress import Progress
from midstream.doctor.record import asking, running
from midstream.doctor.record.writer import Bounds, Writer, told_end, told_so_far
from midstream.doctor.recording.facts import How

NAME = "record"
HELP = "make a timed recording of a streamed reply, without secrets, for diagnose"

BODY_BYTES_MAX = 64 << 20
"""Of a request from a file: twice the largest that the API takes."""

_EPILOG = """\
the recording holds the reply as it came, byte for byte, with the time of each
part, and how it ended. It holds no credentials: the values of headers such as
x-api-key, authorization and set-cookie are left out, and so is what looks like
a key in the URL. The request's body is not kept.

with `-- curl …` the command does what it would have done, and its exit status
is this command's; --include, --no-buffer and --show-error are added to it. The
reply goes to standard output as usual.

examples:
  midstream record -o reply.jsonl -- curl -sN \\
      https://api.anthropic.com/v1/messages -H "x-api-key: $KEY" -d @body.json
  midstream record -o reply.jsonl http://127.0.0.1:8787/v1/messages \\
      -H "x-api-key: any" -d @body.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    bounds = Bounds()
    parser.usage = "midstream record [-o FILE] (URL [-H HEADER] [-d DATA] | -- curl …)"
    parser.add_argument("words", nargs="*", metavar="URL | -- curl …", help="what to ask, or the curl command to run")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (default recording-<time>.jsonl)")
    parser.add_argument("-f", "--force", action="store_true", help="write over a file that is there")
    parser.add_argument("-H", "--header", action="append", default=[], help="a header of the request")
    parser.add_argument("-d", "--data", metavar="DATA|@FILE", help="the request's body; makes it a POST of JSON")
    parser.add_argument("-X", "--method", help="GET, or POST with --data, unless this says otherwise")
    parser.add_argument(
        "--idle", type=float, default=bounds.idle_s, metavar="SECONDS", help="leave after such a silence (default 600)"
    )
    parser.add_argument(
        "--seconds", type=float, default=bounds.seconds, help="the longest recording in seconds (default 3600)"
    )


def run(args: argparse.Namespace) -> int:
    """Record; curl's exit status, or 1 if a URL gave no answer."""
    if not args.words:
        raise Misuse("say what to record: a URL, or -- curl …")
    if not (0 < args.idle < 1e6 and 0 < args.seconds < 1e6):
        raise Misuse("--idle and --seconds are numbers of seconds, more than 0")
    bounds = Bounds(seconds=args.seconds, idle_s=args.idle)
    is_url = args.words[0].lower().startswith(("http://", "https://"))
    question = _question(args) if is_url else None
    path = Path(args.output) if args.output else _free(Path(f"recording-{datetime.now(UTC):%Y%m%d-%H%M%S}.jsonl"))
    with contextlib.ExitStack() as stack:
        try:
            out = stack.enter_context(path.open("w" if args.force else "x", encoding="utf-8", errors="surrogatepass"))
        except FileExistsError:
            raise Misuse(f"{path} is there already; --force writes over it") from None
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or problem
            raise Misuse(f"{args.output or path} cannot be written: {reason}") from None
        writer = Writer(out)
        try:
            with Progress(lambda elapsed_s: told_so_far(writer), sys.stderr):
                if question is not None:
                    asking.record(question, writer, bounds)
                    status = 1 if writer.finished is not None and writer.finished.how is How.NO_ANSWER else 0
                else:
                    status = running.record(args.words, writer, sys.stdout.buffer, sys.stderr.buffer, bounds)
        except (asking.BadUrl, running.NoCurl) as problem:
            path.unlink(missing_ok=True)
            raise Misuse(str(problem)) from None
        print(f"recorded {told_end(writer)}; now: midstream diagnose {path}", file=sys.stderr)
    return status


def _free(first: Path) -> Path:
    """The name, with a number where two recordings begin in one second."""
    names = [first, *(first.with_stem(f"{first.stem}-{number}") for number in range(2, 100))]
    return next((path for path in names if not path.exists()), first)


def _question(args: argparse.Namespace) -> asking.Question:
    if len(args.words) > 1:
        raise Misuse("one URL, or -- curl …")
    headers: dict[str, str] = {}
    for line in args.header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or any(char in line for char in "\r\n\0") or not line.isascii():
            raise Misuse("a header is NAME: VALUE, in one line")
        headers[name.strip()] = value.strip()
    body = _body(args.data) if args.data is not None else b""
    if body and "content-type" not in {name.lower() for name in headers}:
        headers["content-type"] = "application/json"
    method = args.method or ("POST" if args.data is not None else "GET")
    if not method.isalpha() or not method.isascii():
        raise Misuse("a method is one word, such as POST")
    return asking.Question(args.words[0], method.upper(), headers, body)


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode(errors="surrogateescape")
    try:
        with open(data[1:], "rb") as file:
            body = file.read(BODY_BYTES_MAX + 1)
    except (OSError, ValueError) as problem:
        raise Misuse(f"{data[1:]}: {getattr(problem, 'strerror', None) or problem}") from None
    if len(body) > BODY_BYTES_MAX:
        raise Misuse(f"{data[1:]} is larger than any request may be")
    return body
