"""Our own form of a recording: lines of JSON, each with the second at which it happened. docs/reference/recording.md.

Rule: what arrived stands in it byte for byte, and no secret does. A file that ends early is read as far as it goes.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How, Remark
from midstream.doctor.recording.text import Text
from midstream.doctor.secrets import HIDDEN, is_secret_header, without_secrets

VERSION = 1
BEGINS = b'{"midstream_recording"'

LINE_BYTES_MAX = 8 << 20
"""A recorder writes at most 64 KiB of body in a line; as base64, or with every character escaped, 400 kB."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def begin_line(began: str, by: str) -> str:
    """The first line: when and by what it was recorded."""
    return json.dumps({"midstream_recording": VERSION, "began": began, "by": by})


def line_of(fact: Fact) -> str:
    """One fact as a line, without secrets. A `Remark` has a line too."""
    match fact:
        case Asked():
            asked: dict[str, Any] = {"method": fact.method, "url": without_secrets(fact.url)}
            asked |= {"headers": _shown(fact.headers), "body_bytes": len(fact.body)}
            return _dump(fact.at_s, asked=asked)
        case Answered():
            answered = {"version": fact.version, "status": fact.status, "headers": _shown(fact.headers)}
            return _dump(fact.at_s, answered=answered)
        case Arrived():
            try:
                return _dump(fact.at_s, text=fact.data.decode())
            except UnicodeDecodeError:
                return _dump(fact.at_s, base64=base64.b64encode(fact.data).decode())
        case Finished():
            finished: dict[str, Any] = {"how": fact.how.value, "detail": without_secrets(fact.detail)}
            return _dump(fact.at_s, finished=finished | ({} if fact.code is None else {"code": fact.code}))
        case Remark():
            return _dump(None, remark=without_secrets(fact.text))


def read(text: Text) -> Iterator[Fact]:
    """The facts of a recording of ours."""
    finished = True
    while line := _line(text):
        fact = _fact(line)
        if fact is None:
            yield Remark("a line of the recording cannot be read; what follows it was not looked at")
            yield Finished(How.DAMAGED)
            return
        finished = isinstance(fact, Finished) or (finished and isinstance(fact, Remark))
        yield fact
    if not finished:
        yield Finished(How.UNKNOWN, "the recording ends before its last line: the recorder was killed")


def _line(text: Text) -> bytes:
    parts, size = [text.line()], 0
    while parts[-1] and not parts[-1].endswith(b"\n") and size <= LINE_BYTES_MAX:
        size += len(parts[-1])
        parts.append(text.line())
    return b"".join(parts)


def _dump(at_s: float | None, **what: object) -> str:
    return json.dumps({**({} if at_s is None else {"at": round(at_s, 6)}), **what}, ensure_ascii=False)


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: HIDDEN if is_secret_header(name) else without_secrets(value) for name, value in headers.items()}


def _fact(line: bytes) -> Fact | None:
    try:
        fields = _decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    at = fields.get("at")
    at_s = float(at) if isinstance(at, int | float) and -1e9 < at < 1e9 else None
    match fields:
        case {"text": str(said)}:
            return Arrived(said.encode(errors="surrogatepass"), at_s)
        case {"base64": str(said)}:
            try:
                return Arrived(base64.b64decode(said, validate=True), at_s)
            except ValueError:
                return None
        case {"asked": {"method": str(method), "url": str(url), "headers": dict(headers)}}:
            return Asked(method, url, _texts(headers), at_s)
        case {"answered": {"status": int(status), "headers": dict(headers)}}:
            return Answered(status, _texts(headers), str(fields["answered"].get("version", "")), at_s)
        case {"finished": {"how": str(how)}}:
            said = fields["finished"]
            code = said.get("code")
            known = How(how) if how in set(How) else How.UNKNOWN
            return Finished(known, str(said.get("detail", ""))[:400], at_s, code if type(code) is int else None)
        case {"remark": str(said)}:
            return Remark(said[:400])
        case {"midstream_recording": int()}:
            return Remark("a timed recording of midstream's")
    return None


def _texts(headers: Mapping[Any, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if isinstance(name, str) and isinstance(value, str)}
