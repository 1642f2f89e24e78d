"""What the environment says to a client, and where that is known to go wrong.

Rule: pure, and it looks at values without ever telling one that may be a secret: of a key it says that it is set.
"""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from midstream.doctor.render import Finding, Severity
from midstream.doctor.secrets import is_secret_header

KEYS = (
    "ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN AWS_BEARER_TOKEN_BEDROCK AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY"
    " AWS_SESSION_TOKEN ANTHROPIC_AWS_API_KEY ANTHROPIC_FOUNDRY_API_KEY ANTHROPIC_CUSTOM_HEADERS"
).split()
"""Told as set or not set, never by what they are."""

ADDRESSES = (
    "ANTHROPIC_BASE_URL ANTHROPIC_BEDROCK_BASE_URL ANTHROPIC_VERTEX_BASE_URL ANTHROPIC_FOUNDRY_BASE_URL"
    " ANTHROPIC_AWS_BASE_URL ANTHROPIC_BEDROCK_MANTLE_BASE_URL"
).split()

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
"""Also in lower case."""

BUNDLES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
)

PLAIN = (
    "CLAUDE_CODE_USE_BEDROCK CLAUDE_CODE_USE_VERTEX CLAUDE_CODE_USE_FOUNDRY CLAUDE_CODE_USE_MANTLE AWS_REGION"
    " AWS_DEFAULT_REGION CLOUD_ML_REGION ANTHROPIC_LOG ANTHROPIC_MODEL NO_PROXY no_proxy API_TIMEOUT_MS"
).split()
"""Told as they are."""


def told(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that matter to a stream, without secrets."""
    found = {name: "set" for name in KEYS if environ.get(name)}
    found |= {name: bare(environ[name]) for name in (*ADDRESSES, *_proxy_names()) if environ.get(name)}
    found |= {name: environ[name][:200] for name in (*BUNDLES, *PLAIN) if environ.get(name)}
    for name, value in environ.items():
        if name.startswith("MIDSTREAM_"):
            found[name] = "set" if is_secret_header(name.replace("_", "-")) else value[:200]
    return dict(sorted(found.items()))


def bare(url: str) -> str:
    """A URL without a password, a query or a fragment."""
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "set, and no URL"
    return f"{parts.scheme}://{host}{parts.path}"[:200] if parts.scheme and host else "set, and no URL"


def _proxy_names() -> tuple[str, ...]:
    return (*PROXIES, *(name.lower() for name in PROXIES))


def environment_findings(environ: Mapping[str, str], exists: Callable[[str], bool]) -> Iterator[Finding]:
    """What is wrong with it. `exists` says whether there is a file of this name."""
    yield from _addresses(environ)
    yield from _keys(environ)
    yield from _proxies(environ)
    yield from _bundles(environ, exists)
    if len(chosen := [name for name in PLAIN if name.startswith("CLAUDE_CODE_USE_") and environ.get(name)]) > 1:
        means = "Claude Code asks one of them, and it need not be the one that you mean."
        yield _finding(
            "CHECK-TWO-CLOUDS",
            "warning",
            "two services are chosen at once",
            chosen[0],
            means,
            "Unset all but one.",
            *chosen,
        )
    if environ.get("ANTHROPIC_LOG", "").lower() == "debug":
        means = "Prompts and replies stand in the log in clear."
        yield _finding(
            "CHECK-LOG", "note", "the SDK logs everything", "ANTHROPIC_LOG", means, "Unset it in production."
        )


def _addresses(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in ADDRESSES:
        value = environ.get(name)
        if not value:
            continue
        address = value.strip()
        if bare(value) == "set, and no URL" or not address.startswith(("http://", "https://")):
            means = "Every request fails before it leaves."
            yield _finding("CHECK-BASE-URL", "error", f"{name} is no URL", name, means, "It starts with https://.")
            continue
        if address != value:
            means = (
                "Clients do not agree about blanks around an address; a line end is often left by a file or a secret."
            )
            yield _finding("CHECK-BLANKS", "error", f"{name} has blanks around it", name, means, "Take them away.")
        path = urlsplit(address).path.rstrip("/")
        if name == "ANTHROPIC_BASE_URL" and path.endswith(("/v1", "/v1/messages")):
            means = "The SDK puts /v1/messages behind it, and asks for /v1/v1/messages: HTTP 404."
            fix = f"End it before /v1: {bare(value).rsplit('/v1', 1)[0]}"
            yield _finding(
                "CHECK-BASE-URL-V1", "error", f"{name} ends in {path[path.rindex('/v1') :]}", name, means, fix
            )
        host = urlsplit(address).hostname or ""
        if address.startswith("http://") and host not in ("localhost", "127.0.0.1", "::1") and "." in host:
            means = "The key and all that is said can be read on the way."
            yield _finding("CHECK-CLEAR", "warning", f"{name} is not encrypted", name, means, "https://", bare(value))


def _keys(environ: Mapping[str, str]) -> Iterator[Finding]:
    key, token = environ.get("ANTHROPIC_API_KEY"), environ.get("ANTHROPIC_AUTH_TOKEN")
    if key and token:
        means = "Clients do not agree which of them counts: the SDK takes the key."
        fix = "Unset the one that you do not mean."
        yield _finding("CHECK-TWO-KEYS", "warning", "key and token are both set", "ANTHROPIC_AUTH_TOKEN", means, fix)
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"):
        value = environ.get(name, "")
        if value != value.strip() or (value[:1] in "\"'" and value):
            means = "It is sent with them, and refused: HTTP 401, or an exception about an illegal header."
            fix = "Take them away; a file that was read whole ends in a line end."
            yield _finding("CHECK-KEY-BLANKS", "error", f"{name} has blanks or quotes around it", name, means, fix)
    if environ.get("AWS_BEARER_TOKEN_BEDROCK") and environ.get("AWS_ACCESS_KEY_ID"):
        means = "A request to Bedrock is signed or carries the token, never both: the token counts."
        fix = "Unset the one that you do not mean."
        yield _finding("CHECK-TWO-AWS", "note", "Bedrock has a token and a key", "AWS_BEARER_TOKEN_BEDROCK", means, fix)


def _proxies(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in PROXIES:
        upper, lower = environ.get(name), environ.get(name.lower())
        if upper and lower and upper != lower:
            means = "Which of them counts differs from program to program."
            yield _finding(
                "CHECK-PROXY-CASE", "warning", f"{name} and {name.lower()} differ", name, means, "Set them alike."
            )
        value = upper or lower
        if not value:
            continue
        if value.lower().startswith("socks"):
            means = "Most clients need a further package for it, and fail at the first request without."
            fix = "For httpx: pip install 'httpx[socks]'."
            yield _finding("CHECK-SOCKS", "note", f"{name} is a SOCKS proxy", name, means, fix, bare(value))
        elif name != "HTTP_PROXY":
            means = "All streams go through it; if it inspects TLS it may buffer them, and it has limits of its own."
            fix = "`midstream probe` through it shows what it does to a stream."
            yield _finding("CHECK-PROXY", "note", "a proxy stands on the way", name, means, fix, bare(value))


def _bundles(environ: Mapping[str, str], exists: Callable[[str], bool]) -> Iterator[Finding]:
    there = {name: value for name in BUNDLES if (value := environ.get(name))}
    for name, value in there.items():
        if not exists(value):
            means = "No certificate can be checked: every connection fails, or the variable is ignored."
            fix = "Let it name the file of your certificate authority."
            yield _finding("CHECK-CA", "error", f"{name} names nothing that is there", name, means, fix, value[:200])
    if "REQUESTS_CA_BUNDLE" in there and "SSL_CERT_FILE" not in there:
        means = "requests and botocore trust it; httpx, and so the SDK, looks at SSL_CERT_FILE."
        fix = "Set SSL_CERT_FILE too."
        yield _finding(
            "CHECK-CA-HALF",
            "warning",
            "a certificate bundle is set for half of the clients",
            "REQUESTS_CA_BUNDLE",
            means,
            fix,
        )


def _finding(name: str, severity: Severity, title: str, place: str, means: str, fix: str, *evidence: str) -> Finding:
    return Finding(severity, title, id=name, place=place, means=means, fix=fix, evidence=evidence)
