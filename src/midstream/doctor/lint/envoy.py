"""Envoy: every route to a cluster, the connection managers around them, and the clusters.

Rule: an object is known by its fields, wherever it stands; so the parts of an xDS answer can be read, too.
"""

from collections.abc import Iterator

from midstream.doctor.lint.findings import BODY_BYTES, Assumptions, Checked
from midstream.doctor.lint.settings import put
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.tree import Value, documents
from midstream.doctor.lint.units import said_s, seconds

# What a retry policy may name without repeating what an upstream has begun.
SAFE_RETRIES = frozenset("connect-failure refused-stream reset-before-request".split())

_CLUSTERS = ("cluster", "weighted_clusters", "cluster_header", "cluster_specifier_plugin")
_IDLE = ("idle_timeout", "stream_idle_timeout")


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file. Raises `Unreadable`."""
    checked = Checked(files={source.name: source.lines})
    routes = 0
    for value in (value for document in documents(source) for value in document.walk()):
        if value.key == "route" and any(value.get(name) is not None for name in _CLUSTERS):
            routes += 1
            route(value, checked)
            idle(value, assume, checked)
        if value.get("stat_prefix") is not None and value.get("http_filters") is not None:
            idle(value, assume, checked)
        if value.key == "retry_policy":
            retry(value, checked)
        if value.key in {"max_stream_duration", "max_connection_duration"}:
            duration(value, assume, checked)
        if value.get("max_request_bytes") is not None:
            body_size(value, checked)
        if value.get("load_assignment") is not None or value.get("lb_policy") is not None:
            for limit in cluster_idles(value):
                checked.add("ENV-NOOP-CLUSTER-IDLE", limit.place, f"`{limit.key}: {limit.word}` of a cluster")
    if not routes:
        checked.nothing(f"{source.name} has no route to a cluster")
    return checked


def route(value: Value, checked: Checked) -> None:
    """The limit of the whole reply."""
    limit = value.get("timeout")
    limit_s = seconds(limit.word) if limit is not None else 15.0
    if limit_s:
        place = limit.place if limit is not None else next(value.values()).place
        said = f"`timeout: {limit.word}`" if limit is not None else "no `timeout`, so it is 15 s"
        checked.add(
            "ENV-ROUTE-TIMEOUT", place, f"{said} for {_target(value)}", put(value, limit, "timeout: 0s", checked)
        )


def idle(value: Value, assume: Assumptions, checked: Checked) -> None:
    """The limits of silence; 0 is none."""
    for limit in filter(None, map(value.get, _IDLE)):
        limit_s = seconds(limit.word)
        if limit_s and limit_s < assume.silence_s:
            said = f"`{limit.key}: {limit.word}`, with a ping each {said_s(assume.ping_s)}"
            fix = put(value, limit, f"{limit.key}: 120s", checked)
            checked.add("ENV-IDLE-TIMEOUT", limit.place, said, fix)


def retry(policy: Value, checked: Checked) -> None:
    """What is sent again."""
    on = policy.get("retry_on")
    if on is None or policy.text("num_retries") == "0":
        return
    conditions = [word.strip() for word in on.word.split(",") if word.strip()]
    if not set(conditions) <= SAFE_RETRIES:
        safe = [word for word in conditions if word in SAFE_RETRIES] or ["connect-failure"]
        fix = put(policy, on, f"retry_on: {','.join(safe)}", checked)
        checked.add("ENV-RETRY-POST", on.place, f"`retry_on: {on.word}`", fix)


def duration(value: Value, assume: Assumptions, checked: Checked) -> None:
    """Limits of a stream or of its connection, from its beginning."""
    limit = value.get("max_stream_duration") or value
    limit_s = seconds(limit.word)
    if limit_s and limit_s < assume.stream_s and limit.key == "max_stream_duration":
        said = f"`{limit.key}: {limit.word}`, and a stream may take {said_s(assume.stream_s)}"
        checked.add("ENV-MAX-DURATION", limit.place, said)


def body_size(value: Value, checked: Checked) -> None:
    """Large prompts."""
    limit = value.get("max_request_bytes")
    # As JSON it may be wrapped, as protocol buffers do.
    word = (limit.text("value") or limit.word) if limit is not None else ""
    if limit is not None and word.isdecimal() and int(word[:18]) < BODY_BYTES:
        fix = put(value, limit, "max_request_bytes: 67108864", checked) if limit.word else ()
        checked.add("ENV-BODY-SIZE", limit.place, f"`max_request_bytes: {word}`", fix)


def cluster_idles(value: Value) -> Iterator[Value]:
    """The limits of connections without a stream."""
    options = [each.get("common_http_protocol_options") for each in value.walk()]
    for each in filter(None, [value.get("common_http_protocol_options"), *options]):
        if (limit := each.get("idle_timeout")) is not None:
            yield limit


def _target(value: Value) -> str:
    return f"cluster {value.text('cluster')}" if value.get("cluster") is not None else "this route"
