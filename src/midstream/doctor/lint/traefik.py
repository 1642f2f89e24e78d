"""Traefik: its static and its dynamic configuration, in YAML or TOML, and its objects in Kubernetes.

Rule: an object is known by its fields, wherever it stands.
"""

from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import FIRST_EVENT_S, Assumptions, Checked
from midstream.doctor.lint.settings import limit_s, put, without
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.tree import Value, documents, toml
from midstream.doctor.lint.units import said_s

# What it gives streams by itself when it is stopped.
GRACE_S = 10.0


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file. Raises `Unreadable`."""
    checked = Checked(files={source.name: source.lines})
    roots = [toml(source)] if source.name.endswith(".toml") or _looks_like_toml(source) else documents(source)
    for value in (value for root in roots for value in root.walk()):
        if value.key == "entryPoints":
            for entry in value.values():
                entry_point(entry, assume, checked)
        middleware(value, checked)
        transport(value, checked)
    return checked


def entry_point(entry: Value, assume: Assumptions, checked: Checked) -> None:
    """The limits of the side of the clients."""
    timeouts = entry.get("transport", "respondingTimeouts")
    if timeouts is not None:
        write = timeouts.get("writeTimeout")
        if write is not None and limit_s(write):
            fix = put(timeouts, write, "writeTimeout: 0s", checked)
            checked.add("TRF-WRITE-TIMEOUT", write.place, f"`writeTimeout` is {write.word} in {entry.key}", fix)
        for limit in filter(None, map(timeouts.get, ("readTimeout", "idleTimeout"))):
            checked.add("TRF-NOOP-TIMEOUTS", limit.place, f"`{limit.key}` is {limit.word} in {entry.key}")
    grace = entry.get("transport", "lifeCycle", "graceTimeOut")
    if grace is None:
        said = f"{entry.key} has no `graceTimeOut`, so it is {said_s(GRACE_S)}"
        checked.add("TRF-GRACE", entry.place, said, severity=Severity.NOTE)
    elif limit_s(grace) < assume.stream_s:
        said = f"`graceTimeOut` is {grace.word} in {entry.key}, and a stream may take {said_s(assume.stream_s)}"
        checked.add("TRF-GRACE", grace.place, said)


def middleware(value: Value, checked: Checked) -> None:
    """What stands between router and service."""
    if value.key == "buffering" and any(below.key.startswith(("max", "mem", "retry")) for below in value.values()):
        checked.add("TRF-BUFFERING", value.place, "a middleware with `buffering`")
    if value.key == "retry":
        retry(value, checked)
    if value.key == "responseForwarding" and (flush := value.get("flushInterval")) is not None:
        checked.add("TRF-NOOP-FLUSH", flush.place, f"`flushInterval` is {flush.word}", without(flush, checked))


def retry(value: Value, checked: Checked) -> None:
    """What is sent again: by itself only what reached no upstream, after a status only what is safe to repeat."""
    attempts, again = value.get("attempts"), value.get("retryNonIdempotentMethod")
    if attempts is None or attempts.word in {"0", "1"} or value.get("status") is None:
        return
    if again is not None and again.word.lower() == "true":
        said = f"`retry` with {attempts.word} attempts, `status` and `{again.key}`"
        checked.add("TRF-RETRY-POST", again.place, said, without(again, checked))


def transport(value: Value, checked: Checked) -> None:
    """The limits of the side of the upstreams."""
    limit = value.get("responseHeaderTimeout") if value.key == "forwardingTimeouts" else None
    if limit is not None and 0 < limit_s(limit) < FIRST_EVENT_S:
        fix = put(value, limit, "responseHeaderTimeout: 120s", checked)
        checked.add("TRF-HEADER-TIMEOUT", limit.place, f"`responseHeaderTimeout` is {limit.word}", fix)


def _looks_like_toml(source: Source) -> bool:
    first = next((line.strip() for line in source.lines if line.strip() and not line.strip().startswith("#")), "")
    return first.startswith("[") and first.endswith("]") and '"' not in first and "," not in first
