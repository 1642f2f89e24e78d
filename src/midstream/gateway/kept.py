"""The request of a stream that may run for hours: parsed and spread out while something is asked, packed otherwise.

Rule: between two attempts a stream holds its request once, as the bytes that came.
"""

from typing import cast

import msgspec

from midstream.gateway.frames import Wire
from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.port import Call
from midstream.protocol.dialects import parse
from midstream.protocol.events import Fields
from midstream.recovery.request import Request


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """All of a call but its body."""

    path: str
    query: str
    headers: Headers
    wire: Wire
    model: str
    method: str
    host: str


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Head)


class Kept(Request):
    """The request, for recovery and for upstreams."""

    __slots__ = ("_call", "_head", "_raw")

    def __init__(self, call: Call, *, signed: bool) -> None:
        super().__init__(None, betas_of(call), signed)
        self._call: Call | None = call
        self._raw = call.raw or b""
        self._head = b""

    @property
    def call(self) -> Call:
        """The call, for an upstream."""
        call = self._call
        if call is None:
            head = _decoder.decode(self._head)
            call = self._call = Call(
                path=head.path,
                query=head.query,
                headers=head.headers,
                raw=self._raw,
                fields=cast(Fields, parse(self._raw)),
                wire=head.wire,
                streamed=True,
                model=head.model,
                method=head.method,
                host=head.host,
            )
        return call

    @property
    def body(self) -> Fields:
        """The body as the Messages API has it."""
        call = self.call
        return {"model": call.model, **call.fields} if call.wire == "eventstream" else call.fields

    @property
    def size_bytes(self) -> int:
        """Of the body, as it came."""
        return len(self._raw)

    def pack(self) -> None:
        """Nothing is asked for now."""
        call, self._call = self._call, None
        if call is not None and not self._head:
            head = _Head(call.path, call.query, call.headers, call.wire, call.model, call.method, call.host)
            self._head = _encoder.encode(head)


def betas_of(call: Call) -> frozenset[str]:
    """The betas that the call takes part in: in a header, or in the body of a Bedrock request."""
    betas = {
        beta.strip().decode("latin-1")
        for name, value in call.headers
        if name == b"anthropic-beta"
        for beta in value.split(b",")
    }
    in_body = call.fields.get("anthropic_beta") if call.wire == "eventstream" else None
    betas |= {beta for beta in in_body if isinstance(beta, str)} if isinstance(in_body, list) else set()
    return frozenset(beta for beta in betas if beta)
