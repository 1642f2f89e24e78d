"""Kubernetes: what annotations of an Ingress, or of a Service, make of a stream.

Rule: annotations count for the controller that they are spelt for; which one is at work, the class and they tell.
"""

import re

from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import BODY_BYTES, FIRST_EVENT_S, Assumptions, Checked, Place
from midstream.doctor.lint.settings import limit_s, put
from midstream.doctor.lint.tree import Value
from midstream.doctor.lint.units import said_s, size_bytes

COMMUNITY, F5, ALB = "nginx.ingress.kubernetes.io/", "nginx.org/", "alb.ingress.kubernetes.io/"
ALB_ATTRIBUTES = f"{ALB}load-balancer-attributes"
CLASS = "kubernetes.io/ingress.class"
CLB_IDLE = "service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout"

# The spelling of each setting: ingress-nginx, and F5's.
_READ = (f"{COMMUNITY}proxy-read-timeout", f"{F5}proxy-read-timeout")
_BODY = (f"{COMMUNITY}proxy-body-size", f"{F5}client-max-body-size")
_NEXT = (f"{COMMUNITY}proxy-next-upstream", f"{F5}proxy-next-upstream")
_SNIPPETS = ("configuration-snippet", "server-snippet", "location-snippets", "server-snippets")


class Annotated:
    """An object with its annotations."""

    def __init__(self, item: Value, checked: Checked) -> None:
        self.item, self.checked = item, checked
        self.mapping = item.get("metadata", "annotations")
        self.values = {value.key: value for value in self.mapping.values()} if self.mapping is not None else {}

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.item.text('kind')} {self.item.text('metadata', 'name')}".strip()

    @property
    def place(self) -> Place:
        """Where something is missing."""
        metadata = self.mapping or self.item.get("metadata") or self.item
        return metadata.place

    def uses(self, prefix: str) -> bool:
        """Whether it has annotations for a controller."""
        return any(key.startswith(prefix) for key in self.values)

    def find(self, names: tuple[str, ...]) -> Value | None:
        """The annotation that is spelt in one of these ways."""
        return next((self.values[name] for name in names if name in self.values), None)

    def add(self, rule: str, value: Value, right: str = "") -> None:
        """A finding at an annotation, and its right value."""
        fix = put(self.mapping, value, f'{value.key}: "{right}"', self.checked) if self.mapping and right else ()
        self.checked.add(rule, value.place, f"`{value.key}: {value.word}` of {self.name}", fix)


def ingress(item: Value, assume: Assumptions, checked: Checked) -> None:
    """An Ingress, for whichever controller."""
    at = Annotated(item, checked)
    named = item.text("spec", "ingressClassName") or item.text("metadata", "annotations", CLASS)
    if at.uses(COMMUNITY) or at.uses(F5) or "nginx" in named:
        nginx(at, assume)
    if at.uses(ALB) or named == "alb":
        alb(at)


def nginx(at: Annotated, assume: Assumptions) -> None:
    """The two controllers that are nginx."""
    buffering = at.values.get(f"{COMMUNITY}proxy-buffering")
    if buffering is not None and buffering.word == "on":
        at.add("K8S-NGINX-BUFFERING", buffering, "off")
    theirs = at.values.get(f"{F5}proxy-buffering")
    if at.uses(F5) and not at.uses(COMMUNITY) and (theirs is None or theirs.word.lower() != "false"):
        place = theirs.place if theirs is not None else at.place
        at.checked.add("K8S-NGINX-BUFFERING", place, f"{at.name} does not turn `{F5}proxy-buffering` off")
    version = at.values.get(f"{COMMUNITY}proxy-http-version")
    if version is not None and version.word == "1.0":
        at.add("K8S-NGINX-HTTP10", version, "1.1")
    limit = at.find(_READ)
    if limit is not None and 0 < limit_s(limit) < assume.silence_s:
        at.add("K8S-NGINX-READ-TIMEOUT", limit, "120" if limit.key.startswith(COMMUNITY) else "120s")
    nginx_requests(at)
    for value in at.values.values():
        if value.key.endswith(_SNIPPETS) and re.search(r"chunked_transfer_encoding\s+off", value.word):
            at.checked.add("K8S-NGINX-CHUNKED-OFF", value.place, f"`{value.key.rpartition('/')[2]}` of {at.name}")


def nginx_requests(at: Annotated) -> None:
    """Large prompts, and what is sent twice."""
    size = at.find(_BODY)
    limit = size_bytes(size.word) if size is not None else 1 << 20
    if size is None:
        prefix = F5 if at.uses(F5) and not at.uses(COMMUNITY) else COMMUNITY
        name = _BODY[prefix == F5]
        fix = put(at.mapping, None, f'{name}: "64m"', at.checked) if at.mapping is not None else ()
        at.checked.add("K8S-NGINX-BODY-SIZE", at.place, f"{at.name} has no `{name}`, so the limit is 1 MB", fix)
    elif limit and limit < BODY_BYTES:
        at.add("K8S-NGINX-BODY-SIZE", size, "64m")
    following = at.find(_NEXT)
    if following is not None and "non_idempotent" in following.word.split():
        rest = " ".join(word for word in following.word.split() if word != "non_idempotent")
        at.add("K8S-NGINX-RETRY-POST", following, rest or "off")


def alb(at: Annotated) -> None:
    """An Ingress that becomes an ALB."""
    value = at.values.get(ALB_ATTRIBUTES)
    limit = re.search(r"idle_timeout\.timeout_seconds=(\d{1,6})", value.word) if value is not None else None
    if limit is None:
        said = f"{at.name} has no `idle_timeout.timeout_seconds`, so it is 60 s"
        at.checked.add("K8S-LB-IDLE", value.place if value is not None else at.place, said)
    elif value is not None and int(limit[1]) < FIRST_EVENT_S:
        at.checked.add("K8S-LB-IDLE", value.place, f"`{limit[0]}` of {at.name}")


def load_balancer(item: Value, assume: Assumptions, checked: Checked) -> None:
    """A Service that becomes a load balancer."""
    at = Annotated(item, checked)
    value = at.values.get(CLB_IDLE)
    if value is not None and 0 < limit_s(value) < FIRST_EVENT_S:
        said = f"`{CLB_IDLE.rpartition('/')[2]}: {value.word}` of {at.name}, with a ping each {said_s(assume.ping_s)}"
        severity = Severity.WARNING if limit_s(value) >= assume.silence_s else Severity.ERROR
        checked.add("K8S-LB-IDLE", value.place, said, severity=severity)
