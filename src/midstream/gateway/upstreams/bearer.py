"""The client's own credentials, as far as they are for this upstream.

Rule: a key of Anthropic's never goes to somebody else's cloud.
"""

from midstream.gateway.http.heads import Headers, first
from midstream.gateway.upstreams.port import NoCredentials

_ANTHROPICS = "sk-ant-"
"""What Anthropic's keys and tokens begin with."""


def bearer_of(credentials: Headers, name: str) -> str | None:
    """The token or key that the client sent: SDK 2.x sends either as a bearer, older ones a key as ``x-api-key``.

    Raises `NoCredentials` for a key of Anthropic's: in a list of upstreams the client means the first, and the second
    is another company.
    """
    token = _token(credentials)
    if token is not None and token.startswith(_ANTHROPICS):
        raise NoCredentials(f"The request brings a key of Anthropic's, which {name} does not take and must not see.")
    return token


def brings_bearer(credentials: Headers) -> bool:
    """Whether there is one that another cloud than Anthropic's may take."""
    token = _token(credentials)
    return token is not None and not token.startswith(_ANTHROPICS)


def _token(credentials: Headers) -> str | None:
    authorization = first(credentials, b"authorization") or b""
    token: bytes | None = None
    if authorization[:7].lower() == b"bearer ":
        token = authorization[7:].strip()
    else:
        token = first(credentials, b"x-api-key") or first(credentials, b"api-key")
    return token.decode("latin-1") if token else None
