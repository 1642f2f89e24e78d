"""``midstream config``: a configuration that a stream passes through, with the why of each line.

Rule: it parses, calls and prints; the configurations are the files of `midstream.doctor.configs`.
"""

import argparse
import json

from midstream.cli import Misuse
from midstream.doctor.configs.templates import KINDS, NAMES, Wanted, filled, kind

NAME = "config"
HELP = "a configuration for a streaming endpoint, with the why of each line"

# Shorter than a ping, nothing passes; longer than a day, it is no limit.
_SECONDS_MAX = 86_400

_EPILOG = """\
what can be configured:
{kinds}

examples:
  midstream config nginx > /etc/nginx/conf.d/midstream.conf
  midstream config haproxy --upstream http://10.0.0.7:8100 --listen 0.0.0.0:80
  midstream config nginx | midstream lint --as nginx -
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    usual = Wanted()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG.format(kinds="\n".join(f"  {each.name:18} {each.title}" for each in KINDS))
    parser.add_argument("kind", choices=NAMES, metavar="KIND", help="what to configure")
    parser.add_argument(
        "--upstream", default=usual.upstream, metavar="URL", help=f"where streams come from (default {usual.upstream})"
    )
    parser.add_argument(
        "--listen", default=usual.listen, metavar="HOST:PORT", help=f"where clients connect (default {usual.listen})"
    )
    numbers = {
        "idle_s": ("SECONDS", "the longest silence that is borne; over three pings"),
        "stream_s": ("SECONDS", "the longest stream, where a limit counts the whole of it"),
        "body_mb": ("MB", "the largest prompt"),
    }
    for name, (metavar, text) in numbers.items():
        default = getattr(usual, name)
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=default, metavar=metavar, help=f"{text} (default {default})")
    parser.add_argument("--json", action="store_true", help="as JSON, with the name of the file")


def run(args: argparse.Namespace) -> int:
    """Print the configuration."""
    for name in ("idle_s", "stream_s", "body_mb"):
        if not 1 <= getattr(args, name) <= _SECONDS_MAX:
            raise Misuse(f"--{name.replace('_', '-')} is a number from 1 to {_SECONDS_MAX}, not {getattr(args, name)}")
    text = filled(args.kind, Wanted(args.upstream, args.listen, args.idle_s, args.stream_s, args.body_mb))
    chosen = kind(args.kind)
    if args.json:
        print(json.dumps({"kind": chosen.name, "title": chosen.title, "file": chosen.file, "text": text}, indent=2))
    else:
        print(text.rstrip())
    return 0
