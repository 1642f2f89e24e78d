"""The first record of a stream: what was asked, without the credentials it was asked with.

Rule: whatever another process needs to go on with the stream stands here, and nothing that lets anybody in.
"""

import msgspec

from midstream.gateway.credentials import fit_to_store
from midstream.gateway.frames import Wire
from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.port import Call
from midstream.protocol.dialects import parse


class Opening(msgspec.Struct, frozen=True):
    """A request, as the journal keeps it."""

    path: str
    query: str
    headers: Headers
    body: bytes
    wire: Wire
    model: str
    signed: bool
    """The client's signature covers the body."""
    own_credentials: bool
    """The upstreams are asked with the gateway's own credentials: any process of it may go on."""
    client: str = ""
    """The name of the client's token, if the gateway knows its clients."""


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Opening)


def write(call: Call, *, signed: bool, own_credentials: bool, client: str = "") -> bytes:
    """The record's data."""
    headers, raw = fit_to_store(call.headers), call.raw or b""
    return _encoder.encode(
        Opening(call.path, call.query, headers, raw, call.wire, call.model, signed, own_credentials, client)
    )


def read(data: bytes) -> Opening | None:
    """What was asked; ``None`` where the record cannot be read."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, ValueError):
        return None


def call_of(opening: Opening) -> Call | None:
    """The call that this process makes of it; ``None`` where its body is no JSON object."""
    fields = parse(opening.body)
    if not isinstance(fields, dict):
        return None
    return Call(
        path=opening.path,
        query=opening.query,
        headers=opening.headers,
        raw=opening.body,
        fields=fields,
        wire=opening.wire,
        streamed=True,
        model=opening.model,
    )
