"""What an upstream is to the rest of the gateway: a call goes in, the request that asks for it comes out.

Rule: an upstream translates. It opens no connection and decides nothing about recovery; what it cannot ask for it says
by one of the exceptions here, each a sentence for the client.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from midstream.gateway.http.heads import Headers, first
from midstream.gateway.http.origin import OutRequest

Wire = Literal["sse", "eventstream"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client, as far as an upstream must know it."""

    path: str
    """The raw path: nothing in it is decoded."""
    query: str
    headers: Headers
    """The client's, without the hop-by-hop ones."""
    raw: bytes | None
    """The body as it came; ``None`` where it is handed on while it arrives, which only upstreams without
    `Upstream.reads_body` can do."""
    fields: dict[str, Any]
    """The body, parsed; empty where it is no JSON object."""
    wire: Wire
    """The framing that the client speaks."""
    streamed: bool
    model: str
    """As the client spelled it: in the body, or in Bedrock's path (percent-decoded)."""
    method: str = "POST"
    host: str = ""
    """The client's ``Host`` header: a signature covers it."""


class UpstreamError(Exception):
    """The name or the settings of an upstream make no sense: one sentence that names the thing and the cure."""


class CannotAsk(Exception):
    """This call cannot be put to this upstream. The text is for the client, and holds neither contents nor keys."""

    status = 400
    error_type = "invalid_request_error"


class BadCall(CannotAsk):
    """The client's request lacks what this upstream must know."""


class NotOffered(CannotAsk):
    """This upstream has nothing at this path."""

    status = 404
    error_type = "not_found_error"


class NoCredentials(CannotAsk):
    """There are no credentials that this upstream would take; the text says where they were looked for."""

    status = 401
    error_type = "authentication_error"


class Upstream(Protocol):
    """One service that can be asked."""

    @property
    def name(self) -> str:
        """As on the command line, for example ``bedrock:us-east-1``."""

    @property
    def wire(self) -> Wire:
        """The framing of its streamed replies."""

    @property
    def holds_credentials(self) -> bool:
        """Whether the gateway has credentials of its own for it, as far as can be known without asking anyone."""

    @property
    def never_tried_live(self) -> bool:
        """Whether it was shown to work against fakes only."""

    @property
    def reads_body(self) -> bool:
        """Whether a request cannot be made before its body is there: to translate it, or to sign it.

        For clients of the Messages API. A Bedrock client's body is always needed.
        """

    async def request(self, call: Call, fields: dict[str, Any] | None, credentials: Headers | None) -> OutRequest:
        """The request that puts this call to the service. Raises `CannotAsk`, nothing else.

        ``fields`` is the edited body, in the client's own format; ``None`` for the client's own bytes, where the
        service takes them. ``credentials`` are the client's (`only_credentials`), ``None`` the gateway's own.
        """

    def takes(self, call: Call, credentials: Headers) -> bool:
        """Whether the client's credentials are of a kind that this upstream takes; if they are right, it will say."""

    def model_key(self, call: Call) -> str:
        """The model itself, the same for one model on every upstream: ``claude-opus-4-8``."""

    def refusal(self, status: int, headers: Headers, body: bytes, wire: Wire = "sse") -> tuple[int, Headers, bytes]:
        """An error response in the words of the API that the client speaks (``wire``); untouched where it is."""


def signed_by_client(call: Call) -> bool:
    """Whether the client signed the request, body included (SigV4): it can be sent again, but not edited.

    That holds while its credentials go on. Where the gateway signs with its own, its signature is dropped, and nothing
    stands against an edit.
    """
    authorization = first(call.headers, b"authorization") or b""
    return authorization.startswith(b"AWS4-") or "x-amz-signature=" in call.query.lower()
