"""A relay of one's own in JavaScript: Express with http-proxy, or with compression.

Rule: there is no parser here; what a comment or a text in quotes says does not count, and a name is believed.
"""

import re

from midstream.doctor.lint.findings import Assumptions, Checked, Place
from midstream.doctor.lint.source import Source

_PROXIES = r"http-proxy(?:-middleware)?"
_FROM = r"(?:\brequire\s{0,3}\(\s{0,3}|\bfrom\s{1,3}|^\s{0,20}import\s{1,3})(['\"])%s\1"
_PROXY, _COMPRESSION = (re.compile(_FROM % name, re.MULTILINE) for name in (f"(?P<name>{_PROXIES})", "compression"))
_CALL = re.compile(r"\bcompression\s{0,3}\((?P<options>[^()]{0,200})")
_STREAM = re.compile(r"\btext/event-stream\b|\bpipe(?:line)?\s{0,3}\(|\.createServer\s{0,3}\(|\bexpress\s{0,3}\(")


# A person reads no more, and a bundle of a megabyte is nobody's own.
FINDINGS_MAX = 20

# The options of a call may stand in the lines behind it.
_OPTION_LINES = 5


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a module."""
    checked = Checked(files={source.name: source.lines})
    lines = [_code(line) for line in source.lines]
    compresses = any(_COMPRESSION.search(line) for line in lines)
    for number, line in enumerate(lines, 1):
        place = Place(source.name, number)
        if found := _PROXY.search(line):
            checked.add("JS-HTTP-PROXY", place, f"{found['name']} is used here")
        if compresses and (call := _CALL.search(line)):
            whole = _CALL.match("\n".join(lines[number - 1 : number - 1 + _OPTION_LINES]), call.start())
            if whole is not None and "filter" not in whole["options"]:
                checked.add("JS-COMPRESSION", place, "`compression()` has no `filter`")
        if len(checked.findings) >= FINDINGS_MAX:
            break
    if not (checked.findings or any(_STREAM.search(line) for line in lines)):
        checked.nothing(f"{source.name} relays nothing that is known here")
    return checked


def _code(line: str) -> str:
    """A line without a comment behind it. Two slashes in an address stand behind a colon."""
    if line.lstrip().startswith(("//", "*", "/*")):
        return ""
    return re.sub(r"(?<!:)//.*", "", line)
