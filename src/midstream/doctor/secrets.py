"""Takes out of a text what nobody else may read: keys, tokens, ``Authorization``, signatures.

Rule: it knows the forms that secrets have and the names that they stand behind, never a secret itself; when in doubt it
hides. Every pattern is bounded or has one way to match, so that a text of any size takes time in proportion to it.
"""

import re

HIDDEN = "<hidden>"

_HEADERS = frozenset(
    "authorization proxy-authorization x-api-key api-key x-goog-api-key x-amz-security-token cookie set-cookie"
    " x-amz-signature x-amz-content-sha256 anthropic-api-key ocp-apim-subscription-key".split()
)
_TELLING_HEADER = re.compile(r"(?i)key\b|token\b|secret|password|credential|signature|authorization|cookie")

# Between a name and its value, as headers, JSON, Python's reprs, shells and URLs write it; also escaped inside JSON. It
# takes all that it can, for what was hidden once must not be found again one blank later.
_SEPARATOR = r"""\\?["']?+\s{0,3}+[:=,]\s{0,3}+(?:b(?=["']))?+\\?+["']?+"""

_BEHIND_A_NAME = (
    # Its value may have spaces (a scheme, parameters), so all of it up to the quote or the end of the line goes.
    re.compile(rf"(?i)(\b(?:authorization|(?:set-)?cookie){_SEPARATOR})(?!{HIDDEN})[^\"'\\\r\n]+"),
    re.compile(
        rf"(?i)((?:api[_-]?key|access[_-]?key(?:[_-]?id)?|secret|token|password|passwd|credentials?|signature|private[_-]?key)"
        rf"{_SEPARATOR})(?!{HIDDEN})[\w.~+/=%-]{{8,}}"
    ),
    re.compile(r"(?i)([?&](?:key|sig|code|x-amz-(?:signature|credential))=)[^&\s\"'\\]+"),
)
_BY_FORM = re.compile(
    r"""sk-[A-Za-z0-9][\w-]{6,}                       # Anthropic's and others' keys
    | \b(?:AKIA|ASIA)[A-Z0-9]{8,}                     # AWS: key ids
    | \bABSK[\w+/=]{8,} | \bbedrock-api-key-[\w+/=]+  # AWS: bearer tokens
    | \bya29\.[\w.-]+ | \bAIza[\w-]{20,}              # Google
    | \bgh[pousr]_\w{16,} | \bxox[abprs]-[\w-]{8,}    # GitHub, Slack
    | \beyJ[\w-]{8,}(?:\.[\w-]+)*                     # a JWT
    | (?i:\b(?:bearer|basic))\s{1,3}[\w.~+/=-]{8,}
    | -----BEGIN\ [A-Z\ ]{0,30}PRIVATE\ KEY-----[\w+/=\s\\-]*
    | (?<=://)[^\s/@:]{0,200}:[^\s/@]{1,400}(?=@)     # a password in a URL
    """,
    re.VERBOSE,
)


def without_secrets(text: str) -> str:
    """The text, with `HIDDEN` in place of whatever looks like a secret. Doing it twice changes nothing."""
    for pattern in _BEHIND_A_NAME:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return _BY_FORM.sub(HIDDEN, text)


def without_secrets_bytes(data: bytes) -> bytes:
    """The same for bytes in any encoding: what is no secret stays as it is, byte by byte."""
    return without_secrets(data.decode("latin-1")).encode("latin-1")


def is_secret_header(name: str) -> bool:
    """Whether the value of a header of this name must not be shown at all."""
    return name.lower() in _HEADERS or _TELLING_HEADER.search(name) is not None
