"""What is being asked, from method, path, headers and body.

Rule: no I/O. What a client sends is either understood here, or refused here with the API's own envelope.
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import unquote

from midstream.gateway.credentials import without_credentials
from midstream.gateway.endings import Refusal, refusal
from midstream.gateway.http.heads import Headers, first, without_hop_by_hop
from midstream.gateway.upstreams.port import Call, signed_by_client
from midstream.protocol.dialects import parse
from midstream.protocol.events import Fields

STREAM_ID = re.compile(r"(?:ms|mb)-[0-9a-f]{32}")
"""Ours: ``ms-`` for server-sent events, ``mb-`` for event streams."""

_STREAM_PATH = re.compile(r"/midstream/streams/([^/]*)")
_BEDROCK_PATH = re.compile(r"/model/([^/]+)/(invoke-with-response-stream|invoke)")
_TRICKS = re.compile(r"//|/\.{1,2}(?=/|$)|\\|%2e|%2f|%5c|%00|[^\x21-\x7e]", re.IGNORECASE)
"""What a path of the API never holds, and what is read differently by whoever stands behind: no two readings here.

Model ids in Bedrock's paths may be ARNs, with an encoded slash: they are looked at by themselves.
"""

_HALF_CHARS = re.compile(r"[\ud800-\udfff]")
"""What JSON can spell and no file can hold. In a body it goes on as it came; a name it is none."""

ID_CHARS_MAX = 18
"""Of a ``Last-Event-ID``: no stream has 10^18 frames, and no journal counts much further."""


class What(Enum):
    """What a request is for."""

    MESSAGES = "a Messages request, streamed or not"
    BEDROCK = "a Bedrock request"
    PASS = "anything else of the API's"
    STREAM = "a stream of ours"
    PROBE = "whether somebody is here"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    what: What
    model: str = ""
    """Of a Bedrock path, decoded."""
    streamed: bool = False
    """Of a Bedrock path."""
    stream_id: str = ""


def target_of(method: str, path: str) -> Target | Refusal:
    """What a method and a path mean here."""
    if path == "/":
        return Target(What.PROBE) if method in ("GET", "HEAD") else refusal(405, f"{method} is not allowed here")
    if (found := _BEDROCK_PATH.fullmatch(path)) is not None:
        model = unquote(found.group(1))
        if method != "POST":
            return refusal(405, f"{method} is not allowed here")
        if not model.isprintable() or ".." in model or "?" in model or "#" in model:
            return refusal(400, "the model id in the path holds characters that no model id has")
        return Target(What.BEDROCK, model, found.group(2) != "invoke")
    if _TRICKS.search(path):
        return refusal(400, "the path is not one of the API's: it holds empty, relative or encoded parts")
    if (found := _STREAM_PATH.fullmatch(path)) is not None:
        if method not in ("GET", "DELETE"):
            return refusal(405, f"{method} is not allowed on a stream: GET reads it, DELETE removes it")
        id = found.group(1)
        return Target(What.STREAM, stream_id=id) if STREAM_ID.fullmatch(id) else no_such_stream()
    if path == "/v1/messages" and method == "POST":
        return Target(What.MESSAGES)
    if path.startswith("/v1/") or path == "/inference-profiles":
        return Target(What.PASS)
    return refusal(404, "there is nothing at this path; the API is under /v1/")


def no_such_stream() -> Refusal:
    """For a stream that is not there, and for somebody else's alike: who may not read it does not learn of it."""
    return refusal(404, "there is no such stream")


def make_call(target: Target, method: str, path: str, query: str, headers: Headers, raw: bytes | None) -> Call:
    """A request as upstreams see it, without the client's credentials.

    ``raw`` is ``None`` where the body is handed on while it arrives.
    """
    parsed = parse(raw) if raw else None
    fields: Fields = parsed if isinstance(parsed, dict) else {}
    bedrock = target.what is What.BEDROCK
    model = target.model if bedrock else fields.get("model")
    return Call(
        path=path,
        query=query,
        headers=without_credentials(without_hop_by_hop(headers)),
        raw=raw,
        fields=fields,
        wire="eventstream" if bedrock else "sse",
        streamed=target.streamed if bedrock else fields.get("stream") is True,
        model=model if isinstance(model, str) and not _HALF_CHARS.search(model) else "",
        method=method,
        host=(first(headers, b"host") or b"").decode("latin-1"),
    )


def is_signed(call: Call, headers: Headers) -> bool:
    """Whether the client's signature covers the body."""
    return signed_by_client(replace(call, headers=headers))


def retry_of(headers: Headers) -> bytes | None:
    """What makes a request a repetition of an earlier one: its idempotency key, or empty for a counted retry."""
    if key := first(headers, b"idempotency-key"):
        return key
    count = first(headers, b"x-stainless-retry-count") or b"0"
    return b"" if count.isdigit() and len(count) < 6 and int(count) > 0 else None


def last_event_id(headers: Headers) -> int | Refusal:
    """From where a consumer reads on: behind this frame."""
    value = first(headers, b"last-event-id")
    if not value:
        return 0
    if not value.isdigit() or len(value) > ID_CHARS_MAX:
        return refusal(400, "Last-Event-ID is not the number of a frame")
    return int(value)


def from_elsewhere(headers: Headers) -> bool:
    """Whether a page of somebody's may have sent this: by a browser, or to a name of its own that leads here."""
    host = (first(headers, b"host") or b"").decode("latin-1")
    return first(headers, b"origin") is not None or not is_local(host)


def is_local(host: str) -> bool:
    """Whether a ``Host`` is an address or ``localhost``, with or without a port; clients before HTTP/1.1 send none."""
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    if name in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
