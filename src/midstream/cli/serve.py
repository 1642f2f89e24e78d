"""``midstream serve``: the gateway.

Rule: it parses, calls and prints; what can be set, and what it means, is `midstream.gateway`'s.
"""

import argparse
import json
import os
import sys
from dataclasses import fields
from getpass import getpass

import msgspec

from midstream.cli import Misuse
from midstream.errors import MissingExtra
from midstream.gateway import reference
from midstream.gateway.config import Settings, kinds
from midstream.gateway.rules import busy
from midstream.gateway.schema import Names, Switch
from midstream.gateway.sources import flag, load
from midstream.gateway.tokens import Tokens, digest_line
from midstream.gateway.upstreams.port import UpstreamError
from midstream.journal.port import JournalError
from midstream.recovery.policy import Policy

NAME = "serve"
HELP = "the gateway: streams that finish, for every client in every language"

GROUPS: dict[str, dict[str, str]] = {
    "where streams come from": {
        "upstream": "a service to ask; several in order, the next takes over (default anthropic): anthropic, a URL, "
        "bedrock:REGION, mantle:REGION, aws-messages:REGION, vertex:PROJECT/REGION, google:…, foundry:RESOURCE",
    },
    "who may in": {
        "listen": "where clients connect (default 127.0.0.1:8100)",
        "tokens": "clients have tokens of their own, of this file; the gateway holds the upstreams' credentials",
        "pass_credentials": "clients bring the upstream's credentials, also from other machines",
        "control_listen": "health, metrics and /streams (default 127.0.0.1:8101), or off",
        "control_public": "let others than this machine reach it",
    },
    "the journal": {
        "journal": "its file, or memory (default: ~/.local/state/midstream/journal.sqlite3)",
        "journal_sync": "what comes before a client sees a frame (default full: it is on the disk)",
        "retention_age_s": "keep an ended stream for so long (default a day)",
        "retention_bytes": "and no more than so much of them (default 1 GiB)",
    },
    "streams": {
        "early_s": "wait so long for the first event before answering 200 (default 20)",
        "ping_s": "ping a client after so much silence (default 10)",
        "on_leave": "what becomes of a stream when its last reader leaves (default grace)",
        "grace_s": "for grace: cancel it after so long (default 30)",
        "drain_s": "after SIGTERM, let streams finish for so long (default 30)",
        "streams_max": "open streams in all (default 4,000)",
        "streams_per_owner_max": "open streams of one credential (default 1,000)",
        "bodies_bytes_max": "how much of all requests may be in memory (default 1 GiB)",
    },
    "what is told": {
        "log": "lines on stderr (default auto: text on a terminal, else JSON)",
        "otel": "each stream is a span of OpenTelemetry",
    },
}
"""The settings that most people set, as the help tells them. All others have flags too: --list."""

_DESCRIPTION = """\
A streaming proxy for the Messages API. Clients set one address and change
nothing else; a reply that breaks is continued, and a client that was cut off
comes back to it."""

_EPILOG = """\
in clients:
  Python, TypeScript, curl    ANTHROPIC_BASE_URL=http://127.0.0.1:8100
  Claude Code                 the same; where the gateway has --tokens, also
                              ANTHROPIC_AUTH_TOKEN=<the client's token>
  clients that speak Bedrock  ANTHROPIC_BEDROCK_BASE_URL=http://127.0.0.1:8100

examples:
  to Anthropic, with the clients' own keys, for this machine only
    midstream serve
  Bedrock takes over where Anthropic fails
    midstream serve --upstream anthropic --upstream bedrock:us-east-1
  for others, each with a token of their own, by a file of settings
    midstream serve --listen 0.0.0.0:8100 --tokens tokens.toml --config m.toml
  a new token, and its line for the file of tokens
    openssl rand -hex 32 | tee /dev/stderr | midstream serve --hash-token
  are the settings good, and which are in force?
    midstream serve --config m.toml --check
    midstream serve --config m.toml --print-config

Every setting, the limits of recovery included, is a flag (--silence-s 60), a
variable (MIDSTREAM_SILENCE_S=60) and a key of the file (silence_s = 60 in
[policy]); a flag beats a variable, a variable beats the file. --list explains
them all. SIGHUP reads the tokens again; SIGTERM lets streams finish for
--drain-s and leaves the rest to the next process. Prompts and replies are in
the journal in clear; nobody but its owner may read the file."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "midstream serve [--upstream NAME]... [--listen HOST:PORT] [--config FILE] [SETTING]..."
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    # A beginning that is unique today need not be so tomorrow.
    parser.allow_abbrev = False
    parser.add_argument("--config", metavar="FILE", help="settings in TOML")
    parser.add_argument("--check", action="store_true", help="check settings, tokens and upstreams, and end")
    parser.add_argument("--print-config", action="store_true", help="print the settings in force, and end")
    parser.add_argument("--hash-token", action="store_true", help="make of a token on stdin its line for --tokens")
    parser.add_argument("--list", action="store_true", help="explain every setting, and end")
    parser.add_argument("--json", action="store_true", help="with --list and --print-config: as JSON")
    for title, names in GROUPS.items():
        group = parser.add_argument_group(title)
        for name, text in names.items():
            _add(group, name, text)
    shown = {name for names in GROUPS.values() for name in names}
    for name in setting_names():
        if name not in shown:
            _add(parser, name, argparse.SUPPRESS)


def setting_names() -> list[str]:
    """Everything that has a flag, by its name in the file."""
    return [*kinds(), *(field.name for field in fields(Policy))]


def run(args: argparse.Namespace) -> int:
    """Serve, until a signal ends it; or do what else was asked."""
    if args.hash_token:
        print(digest_line(_token()))
        return 0
    if args.list:
        rows = {"settings": reference.rows(), "policy": reference.policy_rows()}
        print(json.dumps(msgspec.to_builtins(rows), indent=2) if args.json else reference.text())
        return 0
    settings = load({name: getattr(args, name) for name in ("config", *setting_names())}, os.environ)
    if args.print_config:
        table = reference.effective(settings)
        # What TOML has and JSON has not is a date.
        print(json.dumps(table, indent=2, default=str) if args.json else reference.toml(table).rstrip())
        return 0
    try:
        return _check(settings) if args.check else _serve(settings)
    except ModuleNotFoundError as problem:
        raise _missing(problem) from None
    except (JournalError, UpstreamError) as problem:
        raise Misuse(str(problem)) from None
    except OSError as problem:
        if problem.filename is not None:
            raise
        raise busy(flag("listen"), settings.listen, problem) from None


def _serve(settings: Settings) -> int:
    # Here, for it needs the extra.
    from midstream.gateway import main

    return main.run(settings, dict(os.environ))


def _check(settings: Settings) -> int:
    """Everything that can be wrong before something listens."""
    from midstream.gateway.startup import bare_upstreams
    from midstream.gateway.upstreams import table

    upstreams = [table.make(name, settings.upstreams.get(name, {}), os.environ) for name in settings.upstream]
    warnings = [bare_upstreams(settings, upstreams)]
    if settings.tokens is not None:
        tokens = Tokens(settings.tokens)
        print(f"{settings.tokens}: {len(tokens)} token{'' if len(tokens) == 1 else 's'}")
        warnings.append(tokens.warning)
    for warning in filter(None, warnings):
        print(f"midstream serve: {warning}", file=sys.stderr)
    print(f"the settings are good; upstreams: {', '.join(settings.upstream)}")
    return 0


def _missing(problem: ModuleNotFoundError) -> Exception:
    """What to install, for a package that an extra brings; the bug itself otherwise."""
    from midstream.cli.main import missing_extra

    extra = missing_extra(problem)
    return Misuse(str(MissingExtra(extra, problem.name or ""))) if extra else problem


def _add(to: "argparse._ActionsContainer", name: str, text: str) -> None:
    kind = kinds().get(name)
    if isinstance(kind, Switch):
        to.add_argument(flag(name), action="store_true", default=None, help=text)
        to.add_argument(flag(f"no_{name}"), action="store_false", default=None, dest=name, help=argparse.SUPPRESS)
    else:
        several = isinstance(kind, Names)
        metavar = kind.metavar if kind else "VALUE"
        to.add_argument(flag(name), action="append" if several else "store", metavar=metavar, help=text)


def _token() -> str:
    """The token to hash: asked for at a terminal, without showing it; else the first line of stdin."""
    return getpass("token: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
