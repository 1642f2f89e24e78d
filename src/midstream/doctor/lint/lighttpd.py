"""lighttpd: whether replies of ``proxy.server`` are streamed.

Rule: a setting that stands anywhere in the file counts; conditions are not followed.
"""

import re

from midstream.doctor.lint import edits
from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import Assumptions, Checked, Edit, Place
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.units import said_s

HONEST_VERSION = "1.4.85"

_STREAM = re.compile(r"^\s*server\.stream-response-body\s*:?=\s*(\d+)")
_H2_OFF = re.compile(r'"server\.h2proto"\s*=>\s*"(disable|0)"')


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file."""
    checked = Checked(files={source.name: source.lines})
    lines = [line.partition("#")[0] for line in source.lines]
    proxy = next((number for number, line in enumerate(lines, 1) if re.match(r"\s*proxy\.server\b", line)), None)
    if proxy is None:
        checked.nothing(f"{source.name} has no proxy.server")
        return checked
    place = Place(source.name, proxy)
    _streaming(lines, place, checked)
    _http2(lines, place, assume, checked)
    for number, line in enumerate(lines, 1):
        limit = re.search(r'"read-timeout"\s*=>\s*(\d{1,9})', line)
        if limit and 0 < int(limit[1]) < assume.silence_s:
            said = f"`{limit[0]}`, with a ping each {said_s(assume.ping_s)}"
            whole = source.lines[number - 1].replace(limit[0], '"read-timeout" => 120', 1)
            at = Place(source.name, number)
            checked.add("LTD-READ-TIMEOUT", at, said, (Edit("replace", at, whole),))
    return checked


def _streaming(lines: list[str], place: Place, checked: Checked) -> None:
    found = [(number, match) for number, line in enumerate(lines, 1) if (match := _STREAM.match(line))]
    right = "server.stream-response-body = 2"
    if not found:
        fix = edits.insert_before(lines, place, right)
        checked.add("LTD-BUFFERED", place, "no `server.stream-response-body`", fix)
    elif not any(int(match[1][:9]) for _, match in found):
        number, match = found[-1]
        at = Place(place.file, number)
        fix = edits.replace(lines, at, right)
        checked.add("LTD-BUFFERED", at, f"`{match[0].strip()}`", fix)


def _http2(lines: list[str], place: Place, assume: Assumptions, checked: Checked) -> None:
    old = assume.before("lighttpd", HONEST_VERSION)
    if old is False or any(_H2_OFF.search(line) for line in lines):
        return
    until = "" if old else f", if this lighttpd is older than {HONEST_VERSION}"
    severity = None if old else Severity.NOTE
    checked.add("LTD-H2-SILENT", place, f"HTTP/2 is on by default{until}", severity=severity)
