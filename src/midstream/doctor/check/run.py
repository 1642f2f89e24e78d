"""The preflight as a report.

Rule: it puts together what the other modules find; each looks at one thing.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from midstream.doctor.check import environment, timeouts, versions
from midstream.doctor.check.diagnostics import Diagnostics, differences
from midstream.doctor.check.timeouts import Probed
from midstream.doctor.render import SEVERITIES, Finding, Report, Table, worst

SDK_READ_S = 600.0
"""What the SDK waits for the next byte, by itself."""


def report(
    found: Diagnostics,
    environ: Mapping[str, str],
    reached: tuple[Finding, ...] = (),
    probed: Probed | None = None,
) -> Report:
    """What is known against this machine."""
    findings = [
        *versions.version_findings(found.versions),
        *environment.environment_findings(environ, lambda name: Path(name).exists()),
        *timeouts.timeout_findings(found.timeouts, probed or Probed()),
        *reached,
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    ill = [finding for finding in findings if finding.severity in ("error", "warning")]
    verdict = (
        f"{ill[0].title}" + (f"; and {len(ill) - 1} more" if len(ill) > 1 else "")
        if ill
        else "nothing is known against it"
    )
    return Report(
        command="check",
        subject="this machine",
        severity=worst(tuple(findings)),
        verdict=verdict,
        facts=tuple(found.machine.items()),
        tables=tuple(_tables(found)),
        findings=tuple(findings),
        data={"diagnostics": msgspec.to_builtins(found)},
    )


def _tables(found: Diagnostics) -> list[Table]:
    sections = (
        ("versions", found.versions),
        ("environment", found.environment),
        ("timeouts, in seconds", {name: f"{value:g}" for name, value in found.timeouts.items()}),
        ("reach", found.reach),
    )
    return [Table(title, ("what", "value"), tuple(values.items())) for title, values in sections if values]


def compared(here: Diagnostics, there: Diagnostics, name: str) -> Report:
    """What differs between two machines."""
    rows = tuple(differences(here, there))
    return Report(
        command="check",
        subject=f"this machine and {name}",
        severity="note" if rows else "good",
        verdict=f"{len(rows)} things differ" if len(rows) != 1 else "1 thing differs",
        tables=(Table("what differs", ("what", "here", "there"), rows),) if rows else (),
        data={"differences": [{"name": what, "here": one, "there": other} for what, one, other in rows]},
    )
