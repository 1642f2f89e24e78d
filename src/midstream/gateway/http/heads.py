"""Header lines: what both sides of the gateway know of them.

Rule: names are in lower case and values stripped from the moment they are read; nothing is written unchecked.
"""

import re
from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]
"""Name in lower case and value, in the order they came; a name may come more than once."""

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""What a header's name, and a method, is made of (RFC 9110 §5.6.2)."""

VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
"""What may stand in a header's value: no control character but the tab (RFC 9110 §5.5)."""

# Who is asked, and how long the body is, is said anew by whoever sends the message on; so is what was agreed with the
# neighbour alone. ``expect`` belongs to them: the 100 is answered here.
_OURS = frozenset(b"connection keep-alive te trailer transfer-encoding upgrade host content-length expect".split())

_BREAKS_A_LINE = re.compile(rb"[\r\n\0]")


def first(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, by its name in lower case."""
    for key, value in headers:
        if key == name:
            return value
    return None


def without_hop_by_hop(headers: Headers) -> Headers:
    """What goes on to the next hop: neither what was meant for this one, nor what each sender says for itself."""
    dropped = _OURS.union(*(listed(value) for name, value in headers if name == b"connection"))
    return [pair for pair in headers if pair[0] not in dropped and not pair[0].startswith(b"proxy-")]


def listed(value: bytes) -> frozenset[bytes]:
    """The words of a list with commas, in lower case."""
    return frozenset(word.strip(b" \t").lower() for word in value.split(b","))


def head_bytes(start_line: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The first line, the headers and the empty line. Raises `ValueError` for what would end a line before its end."""
    if _BREAKS_A_LINE.search(start_line):
        raise ValueError("the first line holds CR, LF or NUL")
    lines = [start_line]
    for name, value in headers:
        if TOKEN.fullmatch(name) is None:
            raise ValueError("a header's name is not made of the characters of a name")
        if _BREAKS_A_LINE.search(value):
            raise ValueError(f"the value of the header {name.decode()} holds CR, LF or NUL")
        lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n"
