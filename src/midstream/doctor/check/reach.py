"""Whether the API can be reached from here, asked without a key: its refusal is proof enough.

Rule: one question for each version of HTTP, with a body that is none; nothing of the environment goes with it.
"""

import asyncio
import json
from collections.abc import Iterator

from midstream.doctor.probe import http1, http2
from midstream.doctor.probe.heard import Heard
from midstream.doctor.probe.request import Request
from midstream.doctor.probe.road import Target
from midstream.doctor.render import Finding

WAIT_S = 15.0

# No JSON: not even somebody who asks for no key can take it for a question.
_REQUEST = Request(b"{", (("anthropic-version", "2023-06-01"),), wait_s=WAIT_S)


async def reach(to: Target) -> tuple[dict[str, str], tuple[Finding, ...]]:
    """What was seen, and what is wrong with it."""
    asked = [http1.ask(to, _REQUEST), http2.ask(to, _REQUEST)] if to.secure else [http1.ask(to, _REQUEST)]
    heard = await asyncio.gather(*asked)
    return told(to, heard), tuple(findings(to, heard[0]))


def told(to: Target, heard: list[Heard]) -> dict[str, str]:
    """The same for the file."""
    one = heard[0]
    return {
        "address": f"{'https' if to.secure else 'http'}://{to.authority}",
        "answers": f"HTTP {one.status}" if one.status is not None else one.detail or one.end,
        "is the API": "yes" if is_api(one) else "no",
        "server": one.header("server")[:80],
        "http/2": "yes" if any(each.protocol == "h2" and each.status is not None for each in heard) else "no",
        "answered_ms": f"{1000 * one.end_at_s:.0f}",
    }


def is_api(heard: Heard) -> bool:
    """Whether this is how the Messages API, or a gateway to it, refuses a question."""
    try:
        body = json.loads(heard.body[:65_536])
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and body.get("type") == "error" and isinstance(body.get("error"), dict)


def findings(to: Target, heard: Heard) -> Iterator[Finding]:
    """What is wrong with an answer."""
    where = to.authority
    if heard.status is None:
        yield Finding(
            "error",
            f"{where} cannot be reached",
            id="CHECK-REACH",
            means="No request arrives.",
            evidence=(heard.detail or heard.end,),
            check=(
                "DNS and firewall, from this very machine or container.",
                "A TLS error names a certificate: a proxy that inspects TLS needs its authority in SSL_CERT_FILE.",
                "This check goes the straight way; where only a proxy leads out, it cannot pass.",
            ),
            fix="Let this machine reach that address.",
        )
    elif not is_api(heard):
        yield Finding(
            "warning",
            f"{where} answers, but not as the Messages API does",
            id="CHECK-NOT-API",
            means="A proxy, a login page or a wrong path answers in its place.",
            evidence=(f"HTTP {heard.status}, {heard.header('content-type')[:60] or 'no content type'}",),
            fix="Look at ANTHROPIC_BASE_URL, and at what stands before that service.",
        )
