"""Varnish: VCL, and the command line of ``varnishd`` in a unit file.

Rule: conditions are not followed; a line that some reply meets is said to be there.
"""

import re

from midstream.doctor.lint.findings import FIRST_EVENT_S, Assumptions, Checked, Edit, Place
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.units import said_s, seconds

# What Varnish gives a whole reply by itself.
SEND_TIMEOUT_S = 600.0

_SWITCHES = {
    "VCL-NO-STREAM": re.compile(r"\bset\s+beresp\.do_stream\s*=\s*false\s*;"),
    "VCL-GZIP": re.compile(r"\bset\s+beresp\.do_gzip\s*=\s*true\s*;"),
}
_LIMITS = re.compile(r"\.?\b(between_bytes_timeout|first_byte_timeout)\s*=\s*([\d.]+\s*\w+)\s*;")
_SEND_TIMEOUT = re.compile(r"\bsend_timeout=(\S+?)(?=[\s\"']|$)")


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file."""
    checked = Checked(files={source.name: source.lines})
    if re.search(r"^[ \t]*vcl[ \t]+\d", source.text, re.MULTILINE):
        checked.notes.append("whether varnishd speaks HTTP/2, and its send_timeout, are on its command line, not here")
        for number, line in enumerate(source.lines, 1):
            _vcl(re.split(r"#|//", line)[0], Place(source.name, number), assume, checked)
    else:
        _command(source, assume, checked)
    return checked


def _vcl(line: str, place: Place, assume: Assumptions, checked: Checked) -> None:
    for rule, pattern in _SWITCHES.items():
        if match := pattern.search(line):
            fix = (Edit("delete", place),) if match[0] == line.strip() and rule == "VCL-NO-STREAM" else ()
            checked.add(rule, place, f"`{match[0]}`", fix)
    for match in _LIMITS.finditer(line):
        limit_s, between = seconds(match[2]), match[1] == "between_bytes_timeout"
        if limit_s is not None and limit_s < (assume.silence_s if between else FIRST_EVENT_S):
            ping = f", with a ping each {said_s(assume.ping_s)}" if between else ""
            fixed = checked.files[place.file][place.line - 1].replace(match[2], "120s", 1)
            rule = "VCL-BETWEEN-BYTES" if between else "VCL-FIRST-BYTE"
            checked.add(rule, place, f"`{match[0]}`{ping}", (Edit("replace", place, fixed),))


def _command(source: Source, assume: Assumptions, checked: Checked) -> None:
    """The command line that starts it; one that is broken by backslashes is one."""
    began = None
    for number, line in enumerate(source.lines, 1):
        text = line.partition("#")[0]
        if began is None and re.search(r"\bvarnishd\b", text):
            began = number
        if re.search(r"\bfeature=\S*\+http2", text):
            checked.add("VCL-HTTP2", Place(source.name, number), f"`{text.strip()}`")
        if match := _SEND_TIMEOUT.search(text):
            limit_s = seconds(match[1])
            if limit_s is not None and limit_s < assume.stream_s:
                said = f"`{match[0]}`, and a stream may take {said_s(assume.stream_s)}"
                checked.add("VCL-SEND-TIMEOUT", Place(source.name, number), said)
    if began is None:
        checked.nothing(f"{source.name} neither holds VCL nor starts varnishd")
    elif not _SEND_TIMEOUT.search(source.text) and SEND_TIMEOUT_S < assume.stream_s:
        said = f"no `send_timeout`, so a reply has {said_s(SEND_TIMEOUT_S)}"
        checked.add("VCL-SEND-TIMEOUT", Place(source.name, began), said)
