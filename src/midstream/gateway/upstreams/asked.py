"""A call in the words of the Messages API, whichever API the client speaks; and the headers that go on.

Rule: pure, and total: no body that a client can send makes it raise anything but `CannotAsk`.
"""

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from midstream.gateway.credentials import CREDENTIAL_HEADERS, without_credentials
from midstream.gateway.http.heads import Headers, first
from midstream.gateway.upstreams.models import Names
from midstream.gateway.upstreams.port import BadCall, Call, NotOffered
from midstream.protocol.dialects import dump

MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"

NEWEST_VERSION, FIRST_VERSION = "2026-10-21", "2023-06-01"
"""The two versions of the API there are."""

_INVOKE = re.compile(r"/model/(?P<model>[^/]+)/(?P<what>invoke|invoke-with-response-stream)")
# A segment that is one dot or two, spelled out or encoded, also where a server drops ";" and what follows it.
_DOTS = re.compile(r"(?:\.|%2e){1,2}(?:;.*)?", re.IGNORECASE)
_VERSION_WORD = re.compile(r"[\w.-]{1,64}")
# Said by Bedrock's own clients to Bedrock; nobody else knows them.
_AWS_ONLY = (b"x-amz-", b"x-amzn-", b"amz-sdk-")
# They describe bytes that are no longer sent once the body was made anew.
_OF_THE_BYTES = frozenset((b"content-encoding", b"content-md5", b"content-digest", b"digest", b"repr-digest"))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, in the words of the Messages API."""

    path: str
    query: str
    headers: Headers
    """Without credentials."""
    fields: dict[str, Any]
    """The body, for whoever has to change it. Never to be written to: it may be the client's own."""
    raw: bytes | None
    """The client's own bytes, where they are this very body."""
    edited: bool
    """Whether `raw` no longer is what is to be sent."""
    streamed: bool

    @property
    def body(self) -> bytes | None:
        """The bytes to send: the client's own where nothing was changed; ``None``, they are still arriving."""
        return encoded(self.fields) if self.edited else self.raw

    def changed(self, fields: dict[str, Any]) -> "Asked":
        """The same with another body, and without the headers that spoke of the old one's bytes."""
        headers = [pair for pair in self.headers if pair[0] not in _OF_THE_BYTES]
        return replace(self, fields=fields, edited=True, headers=headers)


def as_messages(call: Call, fields: dict[str, Any] | None, names: Names) -> Asked:
    """The call as one to the Messages API. The model's name is the client's yet, unless it was Bedrock's."""
    check_path(call.path)
    if call.wire == "eventstream":
        return _from_bedrock(call, call.fields if fields is None else fields, names)
    headers = without_credentials(call.headers)
    asked = Asked(call.path, call.query, headers, call.fields, call.raw, False, call.streamed)
    return asked if fields is None else asked.changed(fields)


def _from_bedrock(call: Call, fields: dict[str, Any], names: Names) -> Asked:
    """InvokeModel's body → Messages: what Bedrock has in path and body goes to where the API has it."""
    found = _INVOKE.fullmatch(call.path)
    if found is None:
        raise NotOffered("Of Bedrock's API, only invoke and invoke-with-response-stream can be asked of this upstream.")
    rest = {name: value for name, value in fields.items() if name not in ("anthropic_version", "anthropic_beta")}
    body = {"model": names.api_name(unquote(found["model"])), **rest}
    if call.streamed:
        body["stream"] = True
    headers = [pair for pair in call.headers if _means_something(pair[0])]
    headers.append((b"content-type", b"application/json"))
    headers.append((b"accept", b"application/json"))
    headers.append((b"anthropic-version", api_version(fields.get("anthropic_version")).encode()))
    if betas := betas_of(call.headers, fields.get("anthropic_beta")):
        headers.append((b"anthropic-beta", ",".join(betas).encode("latin-1", "replace")))
    return Asked(MESSAGES, "", headers, body, None, True, call.streamed).changed(body)


def _means_something(name: bytes) -> bool:
    """Whether a header of a Bedrock client's means anything to the Messages API, and is not said anew."""
    said_anew = (b"content-type", b"accept", b"anthropic-version", b"anthropic-beta")
    return not name.startswith(_AWS_ONLY) and name not in CREDENTIAL_HEADERS and name not in said_anew


def api_version(said: object) -> str:
    """The version of the API that a cloud's ``anthropic_version`` stands for."""
    if not isinstance(said, str) or not _VERSION_WORD.fullmatch(said) or said.startswith(("bedrock-", "vertex-")):
        return FIRST_VERSION
    return said


def betas_of(headers: Headers, listed: object = None) -> list[str]:
    """The betas of the header, then those of a body's ``anthropic_beta``, each once."""
    words = [
        word for name, value in headers if name == b"anthropic-beta" for word in value.decode("latin-1").split(",")
    ]
    if isinstance(listed, list):
        words += [word for word in listed if isinstance(word, str)]
    # A value from a body becomes part of a header: no word of it may end the line.
    stripped = (word.strip() for word in words)
    return list(dict.fromkeys(word for word in stripped if word and word.isprintable()))


def version_in_header(headers: Headers) -> str:
    """The version of the API that the client asked for; the first, where it said none."""
    return (first(headers, b"anthropic-version") or FIRST_VERSION.encode()).decode("latin-1")


def with_names(asked: Asked, names: Names) -> Asked:
    """The same, with the upstream's name for the model. Untouched where that is the client's own."""
    model = asked.fields.get("model")
    if not isinstance(model, str) or (theirs := names.of(model)) == model:
        return asked
    return asked.changed({**asked.fields, "model": theirs})


def model_in(asked: Asked) -> str:
    """The model's name. Raises `BadCall` where there is none, or none that a path may hold."""
    model = asked.fields.get("model")
    if not isinstance(model, str) or not model.partition(";")[0].strip():
        raise BadCall("The request names no model: give its name as `model`.")
    # What cannot be printed holds half characters too, which no path can say.
    if model.partition(";")[0] in (".", "..") or not model.isprintable():
        raise BadCall("The name of the model cannot stand in a path: give a model's name as `model`.")
    return model


def to_send(headers: Headers, *, streamed: bool, translated: bool = False) -> Headers:
    """The headers that go on. The bytes of a streamed reply are looked into, so they come as they are.

    ``translated``: the body was made here, and so is what is said of it.
    """
    if not (streamed or translated):
        return list(headers)
    said_anew = [b"accept-encoding", b"content-type"] if translated else [b"accept-encoding"]
    kept = [pair for pair in headers if pair[0] not in said_anew]
    if translated:
        kept.append((b"content-type", b"application/json"))
    return [*kept, (b"accept-encoding", b"identity")]


def check_path(path: str) -> None:
    """Raises `BadCall` for a path that could lead out of the upstream's own base."""
    if not path.startswith("/") or any(_DOTS.fullmatch(segment) for segment in path.split("/")):
        raise BadCall("The path holds a segment that leads somewhere else: ask for the path itself.")


def encoded(fields: dict[str, Any]) -> bytes:
    """A body as bytes. Raises `BadCall` for one that is nested so deep that it cannot be written."""
    try:
        return dump(fields)
    except (TypeError, ValueError, RecursionError):
        raise BadCall("The body cannot be written as JSON: is it nested too deep?") from None


def target_of(base: str, path: str, query: str) -> bytes:
    """The request target, below the upstream's base path."""
    return f"{base}{path}{'?' + query if query else ''}".encode("latin-1", "replace")
