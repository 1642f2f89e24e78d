"""``midstream``: finds the command, runs it, and turns what goes wrong into one sentence and an exit status.

Rule: a traceback means a bug of ours. Whatever the user or the world did wrong is told in one sentence on stderr.

A command is a module of this package that offers ``NAME``, ``HELP``, ``configure(parser)`` and ``run(args) -> int``.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from midstream._version import __version__
from midstream.cli import Misuse
from midstream.cli.parser import Parser
from midstream.errors import MissingExtra

COMMANDS = (
    "midstream.cli.demo",
    "midstream.cli.faults",
    "midstream.cli.serve",
    "midstream.cli.explain",
    "midstream.cli.diagnose",
    "midstream.cli.record",
    "midstream.cli.lint",
    "midstream.cli.config",
    "midstream.cli.probe",
    "midstream.cli.check",
)
"""Every command, in the order of the help."""

EXTRAS = {
    "rich": "demo",
    "boto3": "bedrock",
    "botocore": "bedrock",
    "aiohttp": "gateway",
    "httptools": "gateway",
    "prometheus_client": "gateway",
    "google": "vertex",
    "crossplane": "doctor",
    "h11": "doctor",
    "h2": "doctor",
    "hcl2": "doctor",
    "lark": "doctor",
    "yaml": "doctor",
}
"""The extra that brings a package which midstream itself does without."""

OK, FAILED, MISUSED = 0, 1, 2
"""2 is what argparse uses for an argument that it does not know."""

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""

PIPE_CLOSED = 141
"""128 + SIGPIPE, as a shell reports it."""


class Command(Protocol):
    """What a module in this package offers to be a command."""

    NAME: str
    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit status."""


def main(argv: Sequence[str] | None = None, commands: Sequence[str] = COMMANDS) -> int:
    """Run the command line; the exit status. Like argparse, it leaves by `SystemExit` after a help text or misuse."""
    parser = build_parser(commands)
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return MISUSED
    try:
        status: int = args.run(args)
        # Here, and not at the exit of the interpreter: what a closed pipe breaks would be told there.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return PIPE_CLOSED
    except Exception as problem:
        told = explain(problem)
        if told is None:
            raise
        sentence, status = told
        print(f"midstream {args.command}: {sentence}", file=sys.stderr)
    return status


def build_parser(commands: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for all commands. One that lacks an extra is listed all the same, and says so when it is run."""
    parser = Parser(prog="midstream", description="Claude streams that finish.")
    parser.add_argument("--version", action="version", version=f"midstream {__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for path in commands:
        try:
            command = cast(Command, import_module(path))
        except ModuleNotFoundError as problem:
            if missing_extra(problem) is None:
                raise
            _add_stub(subparsers, path.rpartition(".")[2], problem)
        else:
            described = subparsers.add_parser(command.NAME, help=command.HELP, description=command.HELP)
            command.configure(described)
            described.set_defaults(run=command.run)
    return parser


def _add_stub(subparsers: Any, name: str, problem: ModuleNotFoundError) -> None:
    def run(args: argparse.Namespace) -> int:
        raise problem

    # No argument starts with NUL, so every word is taken as it is, options that are not known here included.
    stub = subparsers.add_parser(
        name, help=f"needs the extra {missing_extra(problem)}", prefix_chars="\0", add_help=False
    )
    stub.add_argument("words", nargs="*")
    stub.set_defaults(run=run)


def missing_extra(problem: ModuleNotFoundError) -> str | None:
    """The extra that would have brought the module; ``None`` if it is not for an extra to bring."""
    return EXTRAS.get((problem.name or "").partition(".")[0])


def explain(problem: Exception) -> tuple[str, int] | None:
    """The sentence and the exit status for what went wrong; ``None`` for a bug, which deserves its traceback.

    An error class of midstream's own speaks for itself: as a `ValueError` or a `Misuse` it tells of a wrong value.
    """
    if type(problem).__module__.partition(".")[0] == "midstream":
        return _one_line(problem), MISUSED if isinstance(problem, Misuse | ValueError) else FAILED
    if isinstance(problem, ModuleNotFoundError):
        extra = missing_extra(problem)
        return (str(MissingExtra(extra, problem.name or "")), FAILED) if extra else None
    if isinstance(problem, OSError) and problem.strerror:
        place = f"{problem.filename}: " if problem.filename is not None else ""
        return f"{place}{problem.strerror}", FAILED
    return None


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__


def _forget_stdout() -> None:
    """Let what is still buffered go nowhere, so that the exit of the interpreter does not break on the pipe again."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
