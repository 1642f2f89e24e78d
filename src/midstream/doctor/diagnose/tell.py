"""A file that was examined, as the report that a person reads.

Rule: no contents of the reply, unless `show` asks for them; the words about causes are `causes`'s.
"""

from collections import Counter

from midstream.doctor.diagnose.causes import CAUSES, causes_of
from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.fingerprints import WHO_RESETS
from midstream.doctor.diagnose.run import Examined
from midstream.doctor.diagnose.stream import Outcome
from midstream.doctor.diagnose.usable import must_not_run, rows_of
from midstream.doctor.recording.facts import How
from midstream.doctor.render import Finding, Report, Severity, Table, worst
from midstream.recovery.history import fit

TOLD_MAX = 10
"""Streams of one file of which findings are told: the ill ones first. All are in the JSON."""

CURL_TIMED_OUT = 28
"""curl's exit status for a time limit of its own."""

_ENDS = {
    How.UNKNOWN: "the recording ends, and does not say why",
    How.CLEAN: "cleanly, as its framing says",
    How.CLOSED: "the connection was closed; nothing framed the body, so a cut looks like an end",
    How.INCOMPLETE: "the connection was closed inside the framing",
    How.RESET: "the connection was reset",
    How.STREAM_RESET: "the HTTP/2 stream was reset",
    How.BROKEN: "with broken framing",
    How.TIMEOUT: "whoever recorded it stopped waiting",
    How.NO_ANSWER: "there was no reply",
    How.STOPPED: "whoever recorded it left",
    How.DAMAGED: "the recording cannot be read on",
}


def report_of(examined: Examined, subject: str, *, show: bool = False) -> Report:
    """What was found out, in the one look of the doctor."""
    all_of_them = examined.diagnoses
    several = len(all_of_them) > 1 or examined.more > 0
    ill_first = sorted(enumerate(all_of_them, 1), key=lambda numbered: numbered[1].healthy)
    told = ill_first[:TOLD_MAX]
    findings = [f for number, one in told for f in findings_of(one, f"stream {number}: " if several else "")]
    tables = [t for number, one in told for t in _tables(one, f"stream {number}: " if several else "", show)]
    facts = facts_of(all_of_them[0]) if not several else _facts_of_many(examined)
    facts += tuple(("about the file", remark) for remark in dict.fromkeys(examined.remarks))
    severity: Severity = worst(tuple(findings))
    if examined.more_ill:
        severity = "error"
    return Report(
        "diagnose",
        subject,
        severity,
        _verdict_of_many(examined) if several else verdict_of(all_of_them[0]),
        facts=facts,
        findings=tuple(findings),
        tables=tuple(tables),
        advice=_advice(all_of_them),
        data={"streams": [one.to_dict() for one in all_of_them], "more_streams": examined.more},
    )


def is_healthy(examined: Examined) -> bool:
    """Whether every stream in the file is complete, and needs no change."""
    return all(one.healthy for one in examined.diagnoses) and not examined.more_ill


def verdict_of(one: Diagnosis) -> str:
    """The answer in one sentence."""
    match one.outcome:
        case Outcome.COMPLETE:
            end = f", but without its last event ({one.stop_missing})" if one.stop_missing else ""
            reason = f", stop reason {one.stop_reason}" if one.stop_reason else ""
            return f"complete: {one.events:,} events, {one.place.byte - one.begin:,} bytes{reason}{end}"
        case Outcome.TRUNCATED:
            where = f"truncated at {one.place}" if one.place.byte else "truncated before the first byte"
            return f"{where}: {CAUSES[causes_of(one)[0]].title}"
        case Outcome.ERROR:
            named = one.failure.error_type or one.failure.kind.value if one.failure is not None else ""
            status = f"HTTP {one.head.status}: " if one.head is not None and one.protocol == "no stream" else ""
            where = f" at {one.place}" if one.protocol != "no stream" else ""
            return f"error{where}: {status}{fit(named)}"
        case _:
            what = f"this is {one.protocol}" if one.foreign else one.failure.detail if one.failure is not None else ""
            return f"not the protocol{f' from {one.place}' if one.place.byte else ''}: {what}"


def facts_of(one: Diagnosis) -> tuple[tuple[str, str], ...]:
    """What is known of one stream without judging."""
    finished, head, timing = one.finished, one.head, one.timing
    rows = [("protocol", one.protocol)]
    if head is not None:
        rows.append(("reply", f"{head.version or 'HTTP'} {head.status}" + _by(one)))
    if one.model or one.message_id:
        rows.append(("message", ", ".join(filter(None, (one.message_id, one.model)))))
    if one.events:
        after = f", the last whole one {one.place.after}" if one.place.after else ""
        rows.append(("events", f"{one.events:,}, {one.pings:,} of them pings{after}"))
    rows.append(("stop reason", one.stop_reason or "none came"))
    if finished is not None:
        rows.append(
            ("ended", _ENDS[finished.how] + (f" ({fit(finished.detail, most=300)})" if finished.detail else ""))
        )
    if timing is not None:
        rows.append(("times", _times(one)))
    if one.behind:
        rows.append(("behind the end", f"{one.behind:,} events that no client reads"))
    if one.behind_bytes:
        rows.append(("behind the end", f"{one.behind_bytes:,} bytes of an event that is cut"))
    if one.rehearsed is not None or one.not_rehearsed:
        did = one.rehearsed.sentence if one.rehearsed is not None else f"not asked: {one.not_rehearsed}."
        rows.append(("midstream", did))
    return tuple(rows)


def findings_of(one: Diagnosis, prefix: str = "") -> list[Finding]:
    """What is wrong with one stream, the main cause first."""
    findings = []
    for number, name in enumerate(causes_of(one)):
        cause = CAUSES[name]
        finding = Finding(
            cause.severity,
            cause.title,
            name,
            prefix + str(one.place) if number == 0 else prefix.removesuffix(": "),
            cause.means,
            evidence=tuple(_evidence(one, name)),
            check=cause.check,
            fix=_fix(one, name, cause.fix),
            prevent=cause.prevent,
            verify=cause.verify,
        )
        findings.append(finding)
    return findings


def _fix(one: Diagnosis, name: str, fix: str) -> str:
    suspected = one.suspected
    if name not in ("idle-limit", "total-limit", "client-timeout") or suspected is None:
        return fix
    if _was_curls(one):
        return f"{fix} Here it was curl's: `--max-time`, or `--speed-time`."
    limits = suspected.named or (*suspected.known, *suspected.set_by)
    settings = [f"{limit.whose}: `{limit.setting}`" for limit in limits if limit.setting]
    return f"{fix} Candidates: {'; '.join(settings[:6])}." if settings else fix


def _was_curls(one: Diagnosis) -> bool:
    """Whether curl gave up, by its own exit status."""
    return one.finished is not None and one.finished.how is How.TIMEOUT and one.finished.code == CURL_TIMED_OUT


def _evidence(one: Diagnosis, name: str) -> list[str]:
    seen, suspected, finished = [], one.suspected, one.finished
    if suspected is not None and name in ("idle-limit", "total-limit", "client-timeout"):
        what = "nothing came for" if suspected.kind == "idle" else "the reply was cut after"
        seen.append(f"{what} {suspected.seconds:.1f} s")
        whose = [f"{limit.whose} ({limit.seconds:g} s, {limit.known})" for limit in suspected.known]
        if _was_curls(one):
            seen.append("curl ended it by a limit of its own")
        else:
            seen.append(
                f"limits of that length: {', '.join(whose)}" if whose else "no default that is known: it was set so"
            )
        seen += [f"the reply itself names {limit.whose}" for limit in suspected.named]
        seen += [
            f"{limit.whose} stands on the way: {limit.seconds:g} s, unless it was set otherwise"
            for limit in suspected.set_by[:3]
        ]
        if suspected.kind == "idle" and one.timing is not None:
            seen.append(f"the longest silence before was {one.timing.longest_silence_s:.1f} s")
    if finished is not None and finished.code in WHO_RESETS and finished.how is How.STREAM_RESET:
        seen.append(WHO_RESETS[finished.code])
    if one.unframed and name in ("silent-cut", "cut", "cut-unknown"):
        seen.append(
            "the reply has neither content-length nor chunks: its sender speaks HTTP/1.0, and no cut can be seen"
        )
    if one.failure is not None and name in ("stream-error", "http-error", "garbled", "not-a-stream"):
        seen += _of_failure(one)
    if name == "refusal" and one.refusal_category:
        seen.append(f"category {one.refusal_category}")
    if one.outcome is not Outcome.COMPLETE or name in ("max-tokens", "refusal"):
        seen += [f"the call of {call!r} must not be run" for call in must_not_run(one)[:5]]
    return seen


def _of_failure(one: Diagnosis) -> list[str]:
    failure = one.failure
    assert failure is not None
    seen = [f"{failure.detail}, which midstream counts as {failure.kind.value}"]
    if failure.api_message and one.outcome is Outcome.ERROR:
        seen.append(f"it says: {fit(failure.api_message, most=300)}")
    if failure.request_id:
        seen.append(f"request id {fit(failure.request_id)}")
    if failure.retry_after_s is not None:
        seen.append(f"it asks to wait {failure.retry_after_s:g} s")
    return seen


def _tables(one: Diagnosis, prefix: str, show: bool) -> list[Table]:
    tables = []
    if one.blocks and (one.outcome is not Outcome.COMPLETE or not one.healthy):
        tables.append(Table(f"{prefix}what can still be used", ("block", "what came", "use"), tuple(rows_of(one))))
    if show:
        for block in one.blocks[-TOLD_MAX:]:
            if block.tail:
                lines = tuple((line,) for line in block.tail.split("\n"))
                tables.append(Table(f"{prefix}the end of {block}, as received", ("",), lines))
    return tables


def _by(one: Diagnosis) -> str:
    head = one.head
    server = ", ".join(filter(None, (head.headers.get("server"), head.headers.get("via")))) if head is not None else ""
    return f" from {fit(server)}" if server else ""


def _times(one: Diagnosis) -> str:
    timing = one.timing
    assert timing is not None
    named = (("headers", timing.head_s), ("first byte", timing.first_byte_s), ("last byte", timing.last_byte_s))
    parts = [f"{name} after {at:.2f} s" for name, at in (*named, ("end", timing.ended_s)) if at is not None]
    if timing.silence_s is not None:
        parts.append(f"silence at the end {timing.silence_s:.1f} s")
    return ", ".join(parts)


def _facts_of_many(examined: Examined) -> tuple[tuple[str, str], ...]:
    rows = [(f"stream {number}", verdict_of(one)) for number, one in enumerate(examined.diagnoses[:TOLD_MAX], 1)]
    rest = len(examined.diagnoses) - TOLD_MAX + examined.more
    return (*rows, *((("more", f"{rest:,} streams"),) if rest > 0 else ()))


def _verdict_of_many(examined: Examined) -> str:
    counts = Counter(one.outcome.value for one in examined.diagnoses)
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common())
    more = f", and {examined.more:,} more, {examined.more_ill:,} of them not healthy" if examined.more else ""
    return f"several streams in one file: {told}{more}"


def _advice(diagnoses: list[Diagnosis]) -> tuple[str, ...]:
    advice = []
    ill = [one for one in diagnoses if not one.healthy]
    if any(one.timing is None for one in ill if one.outcome is Outcome.TRUNCATED):
        advice.append("Record it with times, to tell a limit from a lost connection: `midstream record -- curl …`")
    if any(one.failure is not None and one.failure.error_type for one in ill):
        named = next(one.failure.error_type for one in ill if one.failure is not None and one.failure.error_type)
        advice.append(f"See what the error means and how it is cured: `midstream explain {fit(named)}`")
    return tuple(advice)
