"""A result as the report that all doctor commands show, and as SARIF for code review.

Rule: nothing is decided here; the words are the rules'.
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from midstream._version import __version__
from midstream.doctor import render
from midstream.doctor.lint.catalogue import Known, Rule, Severity, rules
from midstream.doctor.lint.findings import Assumptions, Edit, Finding
from midstream.doctor.lint.run import Result
from midstream.doctor.lint.units import said_s

_SEVERITIES: dict[Severity, render.Severity] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "note",
}
_SARIF_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}

KNOWN = {
    Known.MEASURED: "measured",
    Known.DOCUMENTED: "documented, not measured",
    Known.REPORTED: "reported by those who run it, not measured",
}

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def report(result: Result, assume: Assumptions) -> render.Report:
    """The report of all files."""
    found = tuple(_findings(result.findings))
    return render.Report(
        command="lint",
        subject=", ".join(f"{name} ({kind})" for name, kind in result.kinds.items()),
        severity="error" if result.problems else render.worst(found) if result.judged or found else "note",
        verdict=_verdict(result),
        facts=tuple(_facts(result, assume)),
        findings=found,
        data={"problems": list(result.problems), "allowed": result.allowed},
    )


def _verdict(result: Result) -> str:
    counts = {severity: sum(each.severity is severity for each in result.findings) for severity in Severity}
    told = [f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in counts.items() if count]
    unread = f"; {len(result.problems)} of the files could not be checked" if result.problems else ""
    if not told and unread:
        return f"nothing found{unread}" if result.kinds else "no file could be checked"
    if not told:
        return "streams pass" if result.judged else "nothing to judge: no stream goes through what is here"
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told) + unread


def _facts(result: Result, assume: Assumptions) -> Iterator[tuple[str, str]]:
    versions = [f"{name} {'.'.join(map(str, version))}" for name, version in assume.versions.items()]
    rest = [f"a ping each {said_s(assume.ping_s)}", f"streams of up to {said_s(assume.stream_s)}"]
    yield "assumed", ", ".join([*versions, *rest])
    if result.notes:
        yield "not known", "; ".join(dict.fromkeys(result.notes))
    if result.allowed:
        yield "allowed by comments", str(result.allowed)


def _findings(findings: list[Finding]) -> Iterator[render.Finding]:
    told: set[str] = set()
    for each in findings:
        rule, place = each.rule, f"{each.place.file}:{each.place.line}"
        severity = _SEVERITIES[each.severity]
        if rule.id in told:
            # The words of a rule are read once.
            yield render.Finding(severity, rule.title, rule.id, place, means=each.said)
            continue
        told.add(rule.id)
        yield render.Finding(
            severity,
            rule.title,
            rule.id,
            place,
            means=each.said,
            why=rule.reason,
            evidence=(f"{KNOWN[rule.known]}: {rule.evidence}",),
            fix=rule.fix,
            cure=rule.cure,
        )


def sarif(result: Result) -> dict[str, Any]:
    """SARIF 2.1.0: what code hosts show beside the lines of a change."""
    used = [rule for rule in rules().values() if any(each.rule.id == rule.id for each in result.findings)]
    driver = {"name": "midstream lint", "version": __version__, "rules": [_sarif_rule(rule) for rule in used]}
    order = [rule.id for rule in used]
    problems = [{"level": "error", "message": {"text": text}} for text in result.problems]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not problems, "toolExecutionNotifications": problems}],
        "results": [_sarif_result(each, order) for each in result.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    cure = rule.cure or rule.fix
    text = f"{rule.reason}\n\n{KNOWN[rule.known]}: {rule.evidence}\n\nCure: {cure}"
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.reason},
        "help": {"text": text},
        "defaultConfiguration": {"level": _SARIF_LEVELS[rule.severity]},
    }


def _sarif_result(each: Finding, order: list[str]) -> dict[str, Any]:
    # A reference, in which a name with a space, a colon or a `#` would be another.
    artifact = {"uri": quote(PurePath(each.place.file).as_posix(), errors="surrogateescape")}
    told = {
        "ruleId": each.rule.id,
        "ruleIndex": order.index(each.rule.id),
        "level": _SARIF_LEVELS[each.severity],
        "message": {"text": f"{each.rule.title}. {each.said}."},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": each.place.line}}}],
    }
    if each.edits:
        changes = [_sarif_change(edit) for edit in each.edits]
        fix = {"artifactChanges": [{"artifactLocation": artifact, "replacements": changes}]}
        told["fixes"] = [{"description": {"text": each.rule.cure or each.rule.fix}, **fix}]
    return told


def _sarif_change(edit: Edit) -> dict[str, Any]:
    line = edit.place.line
    until = line if edit.kind == "insert" else line + 1
    region = {"startLine": line, "startColumn": 1, "endLine": until, "endColumn": 1}
    text = {} if edit.kind == "delete" else {"insertedContent": {"text": f"{edit.text}\n"}}
    return {"deletedRegion": region, **text}
