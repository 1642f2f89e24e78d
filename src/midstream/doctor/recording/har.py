"""A HAR file, as a browser or a proxy exports it: which of its entries are streams, and what came of each.

Rule: JSON has no end until its last brace, so a HAR is read whole; one that is over the bound is not read at all.
"""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How, Remark, Unreadable
from midstream.doctor.recording.text import Text

HAR_BYTES_MAX = 64 << 20
"""A HAR of a day's work in a browser. Read whole it takes about three times its size in memory."""


class _Header(msgspec.Struct):
    name: str = ""
    value: str = ""


class _PostData(msgspec.Struct):
    text: str = ""


class _Request(msgspec.Struct):
    method: str = ""
    url: str = ""
    headers: list[_Header] = []
    postData: _PostData | None = None


class _Content(msgspec.Struct):
    mimeType: str | None = None
    text: str | None = None
    encoding: str | None = None


class _Response(msgspec.Struct):
    status: int = 0
    httpVersion: str = ""
    headers: list[_Header] = []
    content: _Content = msgspec.field(default_factory=_Content)
    error: Any = msgspec.field(default=None, name="_error")


class _Timings(msgspec.Struct):
    blocked: float | None = None
    dns: float | None = None
    connect: float | None = None
    send: float | None = None
    wait: float | None = None


class _Entry(msgspec.Struct):
    request: _Request = msgspec.field(default_factory=_Request)
    response: _Response = msgspec.field(default_factory=_Response)
    timings: _Timings = msgspec.field(default_factory=_Timings)
    time: float | None = None


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw] = []


class _Har(msgspec.Struct):
    log: _Log


_decode = msgspec.json.Decoder(_Har).decode
_decode_entry = msgspec.json.Decoder(_Entry, strict=False).decode

_ERRORS = (
    # Chrome's net/base/net_error_list.h, and Firefox's NS_ERROR_ names.
    (("INCOMPLETE_CHUNKED", "CONTENT_LENGTH_MISMATCH", "PARTIAL_TRANSFER"), How.INCOMPLETE),
    (("HTTP2_PROTOCOL_ERROR", "HTTP2_SERVER_REFUSED", "QUIC_PROTOCOL", "HTTP2_RST"), How.STREAM_RESET),
    (("CONNECTION_RESET", "NET_RESET", "SOCKET_NOT_CONNECTED"), How.RESET),
    (("INVALID_CHUNKED", "INVALID_HTTP"), How.BROKEN),
    (("TIMED_OUT", "NET_TIMEOUT"), How.TIMEOUT),
    (("EMPTY_RESPONSE", "NAME_NOT_RESOLVED", "CONNECTION_REFUSED", "CONNECTION_CLOSED"), How.NO_ANSWER),
    (("ABORT",), How.STOPPED),
)


def looks_like_har(begun: bytes) -> bool:
    """Whether a JSON document begins like a HAR."""
    head = begun[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return head[:1] == b"{" and b'"log"' in head[:200] and (b'"entries"' in head or b'"version"' in head)


def read(text: Text) -> Iterator[Fact]:
    """The facts of every stream in a HAR. Raises `Unreadable`."""
    data = bytearray()
    while block := text.block():
        data += block
        if len(data) > HAR_BYTES_MAX:
            raise Unreadable(
                f"a HAR is read whole, up to {HAR_BYTES_MAX >> 20} MiB, and this one is larger: export the one request"
            )
    try:
        entries = _decode(bytes(data).removeprefix(b"\xef\xbb\xbf")).log.entries
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Unreadable("it begins like a HAR, and is none: its JSON is cut, or of another shape") from None
    streams = 0
    for raw in entries:
        try:
            entry = _decode_entry(raw)
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue  # no entry of this shape is a recorded reply
        if _is_stream(entry):
            streams += 1
            yield from _facts(entry)
    yield Remark(f"a HAR of {len(entries):,} requests, {streams:,} of them with a stream")


def _is_stream(entry: _Entry) -> bool:
    content = entry.response.content
    url = entry.request.url.partition("?")[0]
    asked = url.endswith(("/v1/messages", "/v1/complete", "-stream", "/converse-stream", ":streamRawPredict"))
    return asked or "event-stream" in (content.mimeType or "") or "eventstream" in (content.mimeType or "")


def _facts(entry: _Entry) -> Iterator[Fact]:
    request, response, timings = entry.request, entry.response, entry.timings
    body = request.postData.text.encode(errors="replace") if request.postData else b""
    yield Asked(request.method, request.url, _headers(request.headers), 0.0, body)
    parts = (timings.blocked, timings.dns, timings.connect, timings.send, timings.wait)
    head_at_s = sum(part for part in parts if part is not None and part > 0) / 1000
    end_at_s = entry.time / 1000 if entry.time is not None and entry.time >= 0 else None
    if response.status:
        version = response.httpVersion.replace("h2", "HTTP/2").replace("http/", "HTTP/")
        headers = _headers(response.headers)
        headers.setdefault("content-type", response.content.mimeType or "")
        yield Answered(response.status, headers, version, head_at_s)
    yield from _body(response.content)
    error = str(response.error or "")
    if error:
        how = next((how for words, how in _ERRORS if any(word in error for word in words)), How.UNKNOWN)
        yield Finished(how, error[:400], end_at_s)
    else:
        yield Finished(How.UNKNOWN if response.status else How.NO_ANSWER, "", end_at_s)


def _body(content: _Content) -> Iterator[Fact]:
    text = content.text or ""
    if (content.encoding or "").lower() != "base64":
        data = text.encode(errors="surrogatepass")
    else:
        try:
            data = base64.b64decode(text)
        except ValueError:
            yield Remark("the body of a request in the HAR is said to be base64, and is none")
            return
    if data:
        yield Arrived(data)


def _headers(headers: list[_Header]) -> dict[str, str]:
    return {header.name.lower(): header.value for header in headers}
