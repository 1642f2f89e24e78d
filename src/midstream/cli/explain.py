"""``midstream explain``: an error message, traceback, log line, status or exit code → what it means and what to do.

Rule: it finds out where the text comes from, and prints; what the text means is `midstream.doctor.explain`'s.
"""

import argparse
import codecs
import json
import sys
from pathlib import Path

from midstream.cli import Misuse
from midstream.doctor.entries import GROUPS, Entry, catalogue
from midstream.doctor.explain import TEXT_CHARS_MAX, explain, report_entry, report_on
from midstream.doctor.render import show

NAME = "explain"
HELP = "what an error message, log line, status or exit code means, and what to change"

FOUND, NOT_FOUND = 0, 1

# A character takes up to four bytes.
_BYTES_MAX = 4 * TEXT_CHARS_MAX

_EPILOG = """\
what can be explained:
  an exception or a traceback   midstream explain 'httpx.ReadTimeout'
  an error of the API           midstream explain '{"type":"overloaded_error"}'
  an HTTP status                midstream explain 524           (or 'HTTP 529')
  how curl ended                midstream explain 'curl: (18)'  (or 'exit 56')
  a proxy's log, or a line      midstream explain /var/log/nginx/error.log
  whatever a program says       python app.py 2>&1 | midstream explain

exit status: 0 explained, 1 no entry fits, 2 misuse. Nothing leaves this
machine, and no key is needed. What is read stops at a mebibyte: of a longer
file its end. Secrets in what is shown are removed.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Takes what a broken stream left behind and says what it means, why it happens,\n"
        "what to check first, how to cure it, and how to know that the cure worked. The\n"
        "surest explanation comes first."
    )
    parser.epilog = _EPILOG
    parser.add_argument("text", nargs="*", metavar="TEXT|FILE|-", help="a text, a file that holds it, or - for stdin")
    parser.add_argument("--all", action="store_true", help="everything that fits in full, not only what fits best")
    parser.add_argument("--short", action="store_true", help="without the background: what it is and the quick fix")
    parser.add_argument("--entry", metavar="ID", help="show this entry of the catalogue")
    parser.add_argument("--list", action="store_true", help="list the catalogue")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Explain it; 1 if no entry fits."""
    if args.list:
        print(_as_json() if args.json else _as_table())
        return FOUND
    if args.entry is not None:
        show(report_entry(_entry(args.entry)), sys.stdout, as_json=args.json, short=args.short)
        return FOUND
    explanation = explain(read(args.text))
    if not explanation.hits and (name := _missing_file(args.text)):
        raise Misuse(f"there is no file {name}, and as a text it fits no entry")
    show(report_on(explanation, every=args.all), sys.stdout, as_json=args.json, short=args.short)
    return FOUND if explanation.hits else NOT_FOUND


def read(words: list[str]) -> str:
    """The text that the arguments name. Raises `Misuse`."""
    if words == ["-"] or (not words and not sys.stdin.isatty()):
        text = _decoded(sys.stdin.buffer.read(_BYTES_MAX))
    elif not words:
        raise Misuse("what shall be explained? Give a text, a file, or - for stdin (--help has examples)")
    elif len(words) == 1 and _exists(Path(words[0])):
        text = _decoded(_end_of(Path(words[0])))
    else:
        text = " ".join(words)
    if not text.strip():
        raise Misuse("there is nothing to explain: the text is empty")
    return text


def _end_of(path: Path) -> bytes:
    """The last bytes of a file, where the newest lines are; the first ones of what has no end, such as a pipe."""
    try:
        with path.open("rb") as file:
            if path.is_file():
                size = file.seek(0, 2)
                file.seek(max(0, size - _BYTES_MAX))
            return file.read(_BYTES_MAX)
    except OSError as problem:
        raise Misuse(f"{path} cannot be read: {problem.strerror}") from None


def _decoded(data: bytes) -> str:
    """The text, in UTF-8 unless it says otherwise, as what PowerShell writes does."""
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    return data.decode("utf-8-sig", "replace")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        # A text may be longer than any file name, or hold a NUL.
        return False


def _missing_file(words: list[str]) -> str | None:
    """What was meant as a file, to all appearance, and is none."""
    if len(words) != 1 or any(char.isspace() for char in words[0]) or "://" in words[0] or _exists(Path(words[0])):
        return None
    looks_so = "/" in words[0] or words[0].endswith((".log", ".txt", ".json", ".out", ".err"))
    return words[0] if looks_so else None


def _entry(name: str) -> Entry:
    entry = catalogue().get(name)
    if entry is None:
        near = [known for known in catalogue() if name.lower() in known]
        hint = f"; did you mean {', '.join(near[:5])}?" if near and name else " (--list has them all)"
        raise Misuse(f"there is no entry {name}{hint}")
    return entry


def _as_table() -> str:
    lines = []
    for group, title in GROUPS.items():
        lines.append(f"{title}:")
        lines += [f"  {entry.id:32} {entry.title}" for entry in catalogue().values() if entry.group == group]
        lines.append("")
    return "\n".join(lines).rstrip()


def _as_json() -> str:
    rows = [{"id": entry.id, "group": entry.group, "title": entry.title} for entry in catalogue().values()]
    return json.dumps(rows, indent=2)
