"""Kubernetes: every object of a manifest, or of a list of them, that decides how a stream passes.

Rule: an object is judged by its kind; what is none of them is left alone.
"""

from collections.abc import Callable, Iterator

from midstream.doctor.lint import traefik
from midstream.doctor.lint.envoy import SAFE_RETRIES
from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.kubernetes_ingress import ingress, load_balancer
from midstream.doctor.lint.settings import limit_s, put
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.tree import Value, documents
from midstream.doctor.lint.units import said_s

# What of Istio's list of conditions repeats nothing that was begun. Statuses may be named, too.
SAFE_ISTIO = SAFE_RETRIES | {"unavailable", "cancelled", "retriable-status-codes", "retriable-headers"}


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a manifest. Raises `Unreadable`."""
    checked = Checked(files={source.name: source.lines})
    known = 0
    for item in (item for document in documents(source) for item in _objects(document)):
        if (judge := JUDGES.get(item.text("kind"))) is not None:
            known += 1
            judge(item, assume, checked)
        annotations(item, checked)
    if not known:
        checked.nothing(f"{source.name} has no object that is known here: {', '.join(JUDGES)}")
    return checked


def _objects(document: Value) -> Iterator[Value]:
    yield document
    if document.text("kind").endswith("List"):
        yield from document.list("items")


def annotations(item: Value, checked: Checked) -> None:
    """Annotations that the API server refuses."""
    found = item.get("metadata", "annotations")
    for value in found.values() if found is not None else ():
        tag = getattr(value.node, "tag", "")
        if tag.rpartition(":")[2] in {"int", "bool", "float"}:
            # Whoever changes the value puts it in quotes.
            changed = any(edit.place == value.place for each in checked.findings for edit in each.edits)
            fix = (
                put(found, value, f'{value.key}: "{value.word}"', checked) if found is not None and not changed else ()
            )
            checked.add("K8S-ANNOTATION-TYPE", value.place, f"`{value.key}: {value.word}` without quotes", fix)


def http_route(item: Value, assume: Assumptions, checked: Checked) -> None:
    """HTTPRoute and GRPCRoute of the Gateway API."""
    for rule in item.list("spec", "rules"):
        total(rule.get("timeouts"), ("request", "backendRequest"), assume, checked)
        if rule.get("timeouts", "request") is None and rule.get("backendRefs") is not None:
            place = next(rule.values()).place
            checked.add("K8S-ROUTE-UNSET", place, f"a rule of {name_of(item)} has no `timeouts.request`")
        retry = rule.get("retry")
        codes = [code.word for code in retry.list("codes")] if retry is not None else []
        if retry is not None and codes and retry.text("attempts") != "0":
            checked.add("K8S-RETRY-POST", retry.place, f"{name_of(item)} retries after {', '.join(codes[:5])}")


def backend_policy(item: Value, assume: Assumptions, checked: Checked) -> None:
    """BackendTrafficPolicy and ClientTrafficPolicy of Envoy Gateway."""
    http = item.get("spec", "timeout", "http")
    total(http, ("requestTimeout", "maxStreamDuration"), assume, checked)
    for limit in filter(None, [http.get("streamIdleTimeout") if http is not None else None]):
        if 0 < limit_s(limit) < assume.silence_s:
            said = f"`{limit.key}: {limit.word}` of {name_of(item)}, with a ping each {said_s(assume.ping_s)}"
            fix = put(http, limit, f"{limit.key}: 120s", checked) if http is not None else ()
            checked.add("K8S-IDLE-TIMEOUT", limit.place, said, fix)
    triggers = [trigger.word for trigger in item.list("spec", "retry", "retryOn", "triggers")]
    on = item.get("spec", "retry", "retryOn")
    if on is not None and not set(triggers) <= SAFE_ISTIO:
        checked.add("K8S-RETRY-POST", on.place, f"{name_of(item)} retries on {', '.join(triggers[:5])}")


def virtual_service(item: Value, assume: Assumptions, checked: Checked) -> None:
    """VirtualService of Istio."""
    for route in item.list("spec", "http"):
        total(route, ("timeout",), assume, checked)
        on = route.get("retries", "retryOn")
        words = [word.strip() for word in on.word.split(",")] if on is not None else []
        unsafe = [word for word in words if word and word not in SAFE_ISTIO]
        if on is not None and unsafe and route.text("retries", "attempts") != "0":
            checked.add("K8S-RETRY-POST", on.place, f"{name_of(item)} retries on {', '.join(unsafe[:5])}")


def google(item: Value, assume: Assumptions, checked: Checked) -> None:
    """BackendConfig and GCPBackendPolicy of Google's controllers."""
    spec = item.get("spec")
    inner = spec.get("default") if spec is not None and item.text("kind") == "GCPBackendPolicy" else spec
    limit = inner.get("timeoutSec") if inner is not None else None
    if inner is None or (limit_s(limit) or 30.0) >= assume.stream_s:
        return
    place = limit.place if limit is not None else inner.place
    said = f"`timeoutSec: {limit.word}`" if limit is not None else "no `timeoutSec`, so it is 30 s,"
    fix = put(inner, limit, "timeoutSec: 3600", checked)
    checked.add("K8S-GCP-TIMEOUT", place, f"{said} in {name_of(item)}", fix)


def traefik_object(item: Value, assume: Assumptions, checked: Checked) -> None:
    """Middleware and ServersTransport of Traefik."""
    for value in item.walk():
        traefik.middleware(value, checked)
        traefik.transport(value, checked)


def total(where: Value | None, names: tuple[str, ...], assume: Assumptions, checked: Checked) -> None:
    """Limits of the whole reply; 0 is none."""
    for limit in (where.get(name) for name in names) if where is not None else ():
        if where is not None and limit is not None and 0 < limit_s(limit) < assume.stream_s:
            said = f"`{limit.key}: {limit.word}`, and a stream may take {said_s(assume.stream_s)}"
            checked.add("K8S-TOTAL-TIMEOUT", limit.place, said, put(where, limit, f"{limit.key}: 0s", checked))


def name_of(item: Value) -> str:
    """What a person calls an object."""
    return f"{item.text('kind')} {item.text('metadata', 'name')}".strip()


JUDGES: dict[str, Callable[[Value, Assumptions, Checked], None]] = {
    "Ingress": ingress,
    "Service": load_balancer,
    "HTTPRoute": http_route,
    "GRPCRoute": http_route,
    "BackendTrafficPolicy": backend_policy,
    "ClientTrafficPolicy": backend_policy,
    "VirtualService": virtual_service,
    "BackendConfig": google,
    "GCPBackendPolicy": google,
    "Middleware": traefik_object,
    "ServersTransport": traefik_object,
}
