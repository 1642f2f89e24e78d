"""The lines of a request or a response that stand before its body.

Rule: what cannot be read as a head is left out; nothing here fails.
"""

import re
from collections.abc import Iterable

from midstream.doctor.recording.facts import Answered, Asked

LINES_MAX = 200
"""More lines than any head has; the rest of one that has more is passed over."""

STATUS_LINE = re.compile(rb"HTTP/(\d(?:\.\d)?) (\d{3})(?: [^\r\n]{0,200})?\r?\n?")
REQUEST_LINE = re.compile(rb"([A-Z]{3,10}) (\S{1,8000}) HTTP/\d(?:\.\d)?\r?\n?")


def answered(lines: list[bytes], at_s: float | None = None) -> Answered | None:
    """The head of a response from its lines; ``None`` if they are none."""
    match = STATUS_LINE.fullmatch(lines[0]) if lines else None
    if match is None:
        return None
    version = match[1].decode()
    return Answered(int(match[2]), _headers(lines[1:]), f"HTTP/{version}", at_s)


def asked(lines: list[bytes], at_s: float | None = None) -> Asked | None:
    """The head of a request from its lines; ``None`` if they are none."""
    match = REQUEST_LINE.fullmatch(lines[0]) if lines else None
    if match is None:
        return None
    headers = _headers(lines[1:])
    target = match[2].decode("latin-1")
    url = f"//{headers['host']}{target}" if target.startswith("/") and "host" in headers else target
    return Asked(match[1].decode(), url, headers, at_s)


def _headers(lines: Iterable[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon and name.strip():
            headers[name.strip().lower()] = value.strip()
    return headers
