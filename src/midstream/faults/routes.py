"""What is being asked, from method, path and headers.

Rule: no I/O; a request of any kind is answered with a `Performance`, also one that makes no sense.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from midstream.faults.acts import Performance
from midstream.faults.catalogue import Wire
from midstream.faults.play import error_event, whole
from midstream.faults.script import Script, ScriptError
from midstream.faults.service import Service

FAULT_HEADER = "x-midstream-fault"
KEY_HEADER = "x-midstream-key"

_SCRIPT_PATH = re.compile(r"/f/([^/]+)(?:/k/([^/]+))?(/.*)")
_BEDROCK = re.compile(r"/model/([^/]+)/invoke(-with-response-stream)?")
_VERTEX = re.compile(r".*/models/([^/:]+):(streamRawPredict|rawPredict)")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request."""

    method: str
    path: str
    """As it was sent: with its query, percent-encoded."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    wire: Wire = "sse"
    model: str | None = None
    streaming: bool | None = None
    """``None``: as the body says."""


def answer(service: Service, call: Call) -> Performance:
    """The response to one HTTP request."""
    path, script_text, key = _unwrapped(call)
    if call.method in ("GET", "HEAD") and path == "/":
        return whole(_about())
    if call.method != "POST":
        return _error(
            404 if call.method in ("GET", "HEAD") else 405,
            "not_found_error",
            f"{call.method} {path} is nothing that is played here",
        )
    request = _request(call.body)
    if isinstance(request, str):
        return _error(400, "invalid_request_error", request)
    if path.endswith(("/count_tokens", "/count-tokens:rawPredict")):
        # Four bytes are about one token.
        return whole({"input_tokens": max(1, len(call.body) // 4)})
    endpoint = _endpoint(path)
    if endpoint is None:
        return _error(404, "not_found_error", f"{path} is nothing that is played here")
    try:
        return service.respond(
            request,
            wire=endpoint.wire,
            key=key,
            script=Script.parse(script_text) if script_text else None,
            model=endpoint.model,
            headers=call.headers,
            streaming=bool(request.get("stream")) if endpoint.streaming is None else endpoint.streaming,
        )
    except ScriptError as problem:
        return _error(400, "invalid_request_error", f"the script of faults cannot be played: {problem}")


def _unwrapped(call: Call) -> tuple[str, str | None, str | None]:
    """The path without its script; the script that was chosen; the key of the stream."""
    path, script, key = call.path.split("?", 1)[0], None, None
    if found := _SCRIPT_PATH.fullmatch(path):
        script, key, path = unquote(found[1]), found[2], found[3]
    return path, call.headers.get(FAULT_HEADER, script), call.headers.get(KEY_HEADER, key)


def _endpoint(path: str) -> _Endpoint | None:
    if path.endswith("/v1/messages"):
        return _Endpoint()
    if found := _BEDROCK.fullmatch(path):
        # An answer that is not streamed is the same JSON on every wire.
        return _Endpoint("bedrock" if found[2] else "sse", unquote(found[1]), streaming=bool(found[2]))
    if found := _VERTEX.fullmatch(path):
        return _Endpoint(model=unquote(found[1]), streaming=found[2] == "streamRawPredict")
    return None


def _request(body: bytes) -> dict[str, Any] | str:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as problem:
        return f"The request body is not valid JSON: {problem}"
    return request if isinstance(request, dict) else "The request body must be a JSON object."


def _about() -> dict[str, object]:
    return {
        "name": "midstream faults",
        "what": "plays a reply of the Messages API, and breaks it as a script says",
        "endpoints": ["POST /v1/messages", "POST /model/{id}/invoke-with-response-stream"],
        "script": f"the header {FAULT_HEADER}, or the path /f/<script>/v1/messages",
        "key": f"the header {KEY_HEADER}, or the path /f/<script>/k/<key>/v1/messages: whose attempts count together",
        "faults": "midstream faults --list",
    }


def _error(status: int, error_type: str, text: str) -> Performance:
    return whole(error_event(error_type, text, "req_00000000"), status, {"x-should-retry": "false"})
