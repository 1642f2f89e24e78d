"""What a client shows to be let in: found in its headers, and taken out of them.

Rule: the one place that knows which headers hold credentials.
"""

import re
from collections.abc import Iterable, Sequence

Headers = Sequence[tuple[bytes, bytes]]

KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key")
"""Headers whose value is a key, as the API and the clouds name them."""

CREDENTIAL_HEADERS = frozenset(
    {b"authorization", *KEY_HEADERS, b"x-amz-security-token", b"x-amz-date", b"x-amz-content-sha256"}
)
"""Headers that say who the client is, those that go with a signature of AWS among them. No log, journal or second
upstream may get them. What is meant for a proxy (``proxy-authorization``) goes to nobody: see `heads`."""

_TELLING = re.compile(rb"auth|cookie|credential|passw|secret|token|(?:api|access|private|subscription)[-_]?key")
"""What a header's name speaks of that somebody made up to carry a secret, for a proxy or a service of their own."""


def secrets_of(headers: Headers) -> list[bytes]:
    """The secrets in these headers, each once and sorted: the same key is the same secret, whichever way it is sent.

    A signature of AWS differs from request to request; with a session token, that token stands for it, for only the
    client and AWS know it. Without one the whole header is the secret: the signature is what others cannot make. The
    id of the access key is no secret, so it is not enough.
    """
    found = set()
    session = [value for name, value in headers if name == b"x-amz-security-token" and value]
    for name, value in headers:
        if name in KEY_HEADERS and value:
            found.add(value)
        elif name == b"authorization" and value:
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() == b"bearer":
                found.update([rest.strip()] if rest.strip() else [])
            elif scheme.startswith(b"AWS4-") and session:
                found.update(session)
            else:
                found.add(value)
    return sorted(found)


def without_credentials(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers without those that say who the client is."""
    return [pair for pair in headers if pair[0] not in CREDENTIAL_HEADERS]


def only_credentials(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those that say who the client is."""
    return [pair for pair in headers if pair[0] in CREDENTIAL_HEADERS]


def fit_to_store(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those that may stand in a journal: none that is known to be a credential, and none that sounds like one."""
    return [pair for pair in without_credentials(headers) if not _TELLING.search(pair[0])]
