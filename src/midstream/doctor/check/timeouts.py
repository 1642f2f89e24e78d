"""Whether this machine's timeouts fit the limits that a probe found on the way.

Rule: pure. Without a probe nothing is claimed about a path.
"""

from collections.abc import Iterator, Mapping

import msgspec

from midstream.doctor.render import Finding

# A ping may be late, and one may be lost.
PINGS = 3


class Found(msgspec.Struct, frozen=True):
    """One limit."""

    seconds: float


class Probed(msgspec.Struct, frozen=True):
    """What matters here of what a probe measured."""

    idle_limits: tuple[Found, ...] = ()
    total_limit: Found | None = None


class _File(msgspec.Struct, frozen=True):
    measured: Probed


def read_probed(raw: bytes) -> Probed | None:
    """What `midstream probe --json` wrote; ``None`` if that is something else."""
    try:
        return msgspec.json.decode(raw, type=_File).measured
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def timeout_findings(seconds: Mapping[str, float], probed: Probed) -> Iterator[Finding]:
    """`seconds`: this side's timeouts by name."""
    idle = [limit.seconds for limit in probed.idle_limits]
    total = probed.total_limit.seconds if probed.total_limit else None
    if total is not None:
        yield Finding(
            "error",
            f"the path cuts every stream after {total:.0f} s",
            id="CHECK-PATH-TOTAL",
            means="No timeout and no ping on this side helps against that.",
            fix="Raise or remove the limit; `midstream probe` says whose it may be.",
        )
    ping_s = seconds.get("gateway_ping_s")
    if idle and ping_s is not None and PINGS * ping_s > min(idle):
        yield Finding(
            "warning",
            f"the gateway's pings are too rare for a path that bears {min(idle):.0f} s of silence",
            id="CHECK-PINGS",
            place="MIDSTREAM_PING_S",
            means="One ping that is late or lost, and the stream is cut.",
            evidence=(f"a ping each {ping_s:g} s; {PINGS} of them take {PINGS * ping_s:g} s",),
            fix=f"MIDSTREAM_PING_S={max(1.0, min(idle) / (PINGS + 1)):.0f}",
        )
    silence_s = seconds.get("recovery_silence_s")
    if idle and silence_s is not None and silence_s < min(idle):
        yield Finding(
            "note",
            f"recovery gives a silent stream up after {silence_s:g} s, before the path does",
            id="CHECK-SILENCE",
            place="MIDSTREAM_SILENCE_S",
            means="That is as it should be: a silence is mended before the proxy cuts.",
        )
