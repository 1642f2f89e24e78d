"""A probe as a report: the verdict in a sentence, what was measured, what is wrong, which rules to apply.

Rule: pure; it says what `verdicts` found, and adds nothing of its own.
"""

from typing import Any

import msgspec

from midstream.doctor.probe import families
from midstream.doctor.probe.delivery import Delivered
from midstream.doctor.probe.heard import CUT_ENDS, SILENT_ENDS
from midstream.doctor.probe.limits import Limit
from midstream.doctor.probe.observations import Observations, Passed
from midstream.doctor.probe.verdicts import Judged
from midstream.doctor.render import Finding, Report, Severity, Table, worst

_PINGS = {True: "carry a stream past the idle limit", False: "do not help", None: "pass; no idle limit to help against"}
_LEAVING = {
    "at once": "is noticed at once",
    "when it writes": "is noticed when the far end writes next",
    "never": "is never noticed",
    "unknown": "not seen",
}
_HEALTHY = "a stream comes through as it left: at once, whole, and a cut is seen"


def report(seen: Observations, judged: Judged, url: str) -> Report:
    """Everything that a person is told."""
    severity = worst(judged.findings)
    return Report(
        command="probe",
        subject=url,
        severity=severity,
        verdict=_verdict(severity, judged.findings),
        tables=(Table("measured", ("what", "found"), tuple(measured(seen, judged))),),
        findings=judged.findings,
        advice=_advice(judged),
        data={"measured": figures(seen, judged)},
    )


def is_ill(found: Report) -> bool:
    """Whether there is anything to cure."""
    return found.severity in ("error", "warning")


def _verdict(severity: Severity, findings: tuple[Finding, ...]) -> str:
    ill = [finding for finding in findings if finding.severity in ("error", "warning")]
    if not ill:
        return _HEALTHY
    gravest = next(finding for finding in ill if finding.severity == severity)
    more = f"; and {len(ill) - 1} more" if len(ill) > 1 else ""
    return gravest.title + more


def measured(seen: Observations, judged: Judged) -> list[tuple[str, str]]:
    """What was measured, line by line, also where all is well."""
    bounds = judged.limits
    idle = "; ".join(f"{each.protocol}: {_seconds(each)}" for each in bounds.idle)
    return [
        ("HTTP", f"{' and '.join(seen.protocols)}; the far end is asked in {seen.hello.http}"),
        *((f"delivery, {each.protocol}", _delivery(each)) for each in judged.delivered),
        ("compression", _compression(seen)),
        ("a cut", _cuts(seen)),
        ("idle limit", idle or f"none up to {bounds.idle_known_to_s:.0f} s"),
        ("total limit", _seconds(bounds.total) if bounds.total else f"none up to {bounds.up_to_s:.0f} s"),
        ("pings", _PINGS[bounds.pings_help]),
        ("before headers", _before(bounds.before, bounds.up_to_s)),
        ("a question", _sizes(seen.bodies, 1_000_000, "MB")),
        ("one header", _sizes(seen.heads, 1_000, "kB")),
        ("a client that leaves", _LEAVING[judged.leaving]),
        ("on the way", "; ".join(_fit(fit) for fit in judged.fits) or "nothing that gives itself away"),
    ]


def figures(seen: Observations, judged: Judged) -> dict[str, Any]:
    """The same for programs."""
    bounds = judged.limits
    return {
        "up_to_s": bounds.up_to_s,
        "protocols": list(seen.protocols),
        "upstream_http": seen.hello.http,
        "delivery": [msgspec.to_builtins(each) for each in judged.delivered],
        "idle_limits": [msgspec.to_builtins(each) for each in bounds.idle],
        "total_limit": msgspec.to_builtins(bounds.total),
        "header_limit": msgspec.to_builtins(bounds.before),
        "dropped_from_s": bounds.lost_from_s,
        "pings_help": bounds.pings_help,
        "cuts": [
            {
                "how": each.question,
                "protocol": each.protocol,
                "end": each.end,
                "detail": each.detail,
                "events_left": each.left,
                "events_came": each.came,
            }
            for each in seen.cuts
        ],
        "bodies": [msgspec.to_builtins(each) for each in seen.bodies],
        "headers": [msgspec.to_builtins(each) for each in seen.heads],
        "leaving_noticed": judged.leaving,
        "families": [msgspec.to_builtins(fit) for fit in judged.fits],
        "rules": list(_rules(judged)),
    }


def _rules(judged: Judged) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule for finding in judged.findings for rule in finding.related))


def _advice(judged: Judged) -> tuple[str, ...]:
    rules = _rules(judged)
    if not rules:
        return ()
    return (f"`midstream lint FILE` on the configuration of the proxy; look at {', '.join(rules)}.",)


def _delivery(each: Delivered) -> str:
    late = f"{each.manner}, {1000 * each.typical_s:.0f} ms late, {1000 * each.latest_s:.0f} at most"
    return f"{late} ({each.cause})" if each.cause else late


def _compression(seen: Observations) -> str:
    packed = {each.encoding for each in (*seen.delivery, *seen.packed) if each.encoding}
    return f"events are compressed ({', '.join(sorted(packed))})" if packed else "events are not compressed"


def _cuts(seen: Observations) -> str:
    told = []
    for protocol in seen.protocols:
        ends = [each.end for each in seen.cuts if each.protocol == protocol]
        silent, honest = (sum(end in ends_of for end in ends) for ends_of in (SILENT_ENDS, CUT_ENDS))
        how = (
            "is seen" if honest == len(ends) else "looks whole" if silent == len(ends) else "is seen in some cases only"
        )
        told.append(f"{how} ({protocol})")
    return "; ".join(told)


def _seconds(limit: Limit) -> str:
    return f"{limit.seconds:.1f} s" + (" – looks whole" if limit.silent else "")


def _before(limit: Limit | None, up_to_s: float) -> str:
    if limit is None:
        return f"no limit up to {up_to_s:.0f} s"
    return f"{limit.seconds:.1f} s, then " + (f"HTTP {limit.status}" if limit.status else "no answer")


def _sizes(asked: tuple[Passed, ...], unit: int, name: str) -> str:
    passed = max((each.size_bytes for each in asked if each.came), default=0)
    stopped = next((each for each in asked if not each.came), None)
    told = f"{passed / unit:.3g} {name} pass" if passed else ""
    against = f"{stopped.size_bytes / unit:.3g} {name} do not: {stopped.answer}" if stopped else ""
    return "; ".join(part for part in (told, against) if part) or "not asked"


def _fit(fit: families.Fit) -> str:
    return f"{fit.family}{'' if fit.certain else ' (acts like it)'}: {', '.join(fit.evidence[:2])}"
