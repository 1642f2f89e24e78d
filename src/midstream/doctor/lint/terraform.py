"""Terraform: every resource that decides how a stream passes a load balancer, a gateway or a CDN.

Rule: a limit that most resources have is a row of a table; what differs has a function.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from midstream.doctor.lint import edits
from midstream.doctor.lint.findings import FIRST_EVENT_S, Assumptions, Checked, Edit
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.terraform_tree import Attribute, Block, parse
from midstream.doctor.lint.units import said_s, seconds

FIRST, TOTAL = "first", "total"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a kind of resource."""

    rule: str
    path: tuple[str, ...]
    """The blocks that it stands in, and its name."""
    counts: str
    """``first``: the silence before the first event, or between two; ``total``: the whole reply."""
    default_s: float | None
    """What counts where nothing is said; ``None``: no limit, or one that is long enough."""
    right: str
    """The line that is put in."""


_IDLE = Limit("TFM-LB-IDLE", ("idle_timeout",), FIRST, 60, "idle_timeout = 300")
_GCP = Limit("TFM-GCP-TIMEOUT", ("timeout_sec",), TOTAL, 30, "timeout_sec = 3600")

# What API Gateway gives an integration where nothing is said, streaming or not, and the most that it gives a stream.
_INTEGRATION_S, _INTEGRATION_FIX = 29, "timeout_milliseconds = 900000"

LIMITS: dict[str, tuple[Limit, ...]] = {
    "aws_elb": (_IDLE,),
    "aws_cloudfront_distribution": (
        *(
            Limit("TFM-CLOUDFRONT-READ", ("origin", kind, "origin_read_timeout"), FIRST, 30, "origin_read_timeout = 60")
            for kind in ("custom_origin_config", "vpc_origin_config")
        ),
        Limit("TFM-CLOUDFRONT-TOTAL", ("origin", "response_completion_timeout"), TOTAL, None, ""),
    ),
    "google_cloud_run_v2_service": (
        Limit("TFM-CLOUDRUN-TIMEOUT", ("template", "timeout"), TOTAL, 300, 'timeout = "3600s"'),
    ),
    "google_cloud_run_service": (
        Limit("TFM-CLOUDRUN-TIMEOUT", ("template", "spec", "timeout_seconds"), TOTAL, 300, "timeout_seconds = 3600"),
    ),
    "azurerm_application_gateway": (
        Limit("TFM-APPGW-TIMEOUT", ("backend_http_settings", "request_timeout"), FIRST, 30, "request_timeout = 120"),
    ),
}


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file. Raises `Unreadable`."""
    checked = Checked(files={source.name: source.lines})
    known, blocks = 0, parse(source)
    for block in blocks:
        kind = block.labels[0] if block.type == "resource" and block.labels else ""
        rows, judge = LIMITS.get(kind, ()), JUDGES.get(kind)
        known += bool(rows) or judge is not None
        for row in rows:
            limit(row, block, assume, checked)
        if judge is not None:
            judge(block, assume, checked)
        if kind in GOOGLE_BACKENDS:
            known += 1
            google_backend(block, blocks, assume, checked)
    if not known:
        checked.nothing(f"{source.name} has no resource that is known here")
    return checked


def limit(row: Limit, resource: Block, assume: Assumptions, checked: Checked) -> None:
    """One row, wherever the resource has its block."""
    for block in resource.below(*row.path[:-1]):
        attribute = block.attributes.get(row.path[-1])
        if attribute is None:
            value_s = row.default_s
        else:
            value_s = attribute.number if attribute.number is not None else seconds(attribute.literal or "")
        enough_s = assume.stream_s if row.counts == TOTAL else FIRST_EVENT_S
        # What is 60 s because nobody thought of it is little; what somebody chose is judged by its value.
        unset = attribute is None and value_s is not None and value_s <= enough_s
        if unset or (attribute is not None and value_s and value_s < enough_s):
            place = attribute.place if attribute is not None else block.place
            said = f"{resource.name} has no `{row.path[-1]}`, so it is {said_s(value_s or 0)}"
            if attribute is not None:
                said = f"`{row.path[-1]} = {attribute.text}` in {resource.name}"
            checked.add(row.rule, place, said, put(block, attribute, row.right, checked))


def load_balancer(block: Block, assume: Assumptions, checked: Checked) -> None:
    """An application load balancer; a network one has limits of its own."""
    if block.word("load_balancer_type") in {None, "application"}:
        limit(_IDLE, block, assume, checked)


GOOGLE_BACKENDS = ("google_compute_backend_service", "google_compute_region_backend_service")


def google_backend(block: Block, blocks: list[Block], assume: Assumptions, checked: Checked) -> None:
    """A backend service, unless its limit means nothing: of a load balancer that passes packets on, or of a serverless
    backend, where Google refuses any."""
    scheme = block.attributes.get("load_balancing_scheme")
    regional = block.labels[0] == GOOGLE_BACKENDS[1]
    passes_on = regional and (scheme is None or scheme.literal in {"INTERNAL", "EXTERNAL"})
    speaks_http = block.word("protocol") in {None, "HTTP", "HTTPS", "HTTP2", "H2C"}
    if speaks_http and not passes_on and not _is_serverless(block, blocks):
        limit(_GCP, block, assume, checked)


def _is_serverless(block: Block, blocks: list[Block]) -> bool:
    """Whether a backend is a regional group of endpoints; such a group is serverless unless it says otherwise."""
    said = {
        each.labels[1]: each.word("network_endpoint_type")
        for each in blocks
        if each.labels[:1] == (_REGIONAL_GROUP,) and len(each.labels) > 1
    }
    groups = [each.attributes["group"].text for each in block.below("backend") if "group" in each.attributes]
    names = [found[1] for text in groups if (found := re.search(rf"\b{_REGIONAL_GROUP}\.(\w+)", text))]
    return any(said.get(name) in {None, "SERVERLESS"} for name in names)


_REGIONAL_GROUP = "google_compute_region_network_endpoint_group"


def api_integration(block: Block, assume: Assumptions, checked: Checked) -> None:
    """A REST API in front of something."""
    mode, kind = block.attributes.get("response_transfer_mode"), block.word("type")
    if kind == "MOCK" or (mode is not None and mode.literal is None):
        return
    # Of a function the address has to change, too: its `response_streaming_invoke_arn`.
    is_safe = kind == "HTTP_PROXY"
    wait = block.attributes.get("timeout_milliseconds")
    wait_s = _INTEGRATION_S if wait is None else wait.number / 1000 if wait.number is not None else None
    too_short = wait_s is not None and wait_s < assume.stream_s
    longer = put(block, wait, _INTEGRATION_FIX, checked) if too_short else ()
    if mode is None or mode.literal != "STREAM":
        place = mode.place if mode is not None else block.place
        fix = put(block, mode, 'response_transfer_mode = "STREAM"', checked) if is_safe else ()
        said = f'{block.name} has no `response_transfer_mode = "STREAM"`'
        checked.add("TFM-APIGW-BUFFERED", place, said, (*fix, *longer) if fix else ())
    elif too_short and wait_s is not None:
        said = f"{block.name} has no `timeout_milliseconds`, so it is {_INTEGRATION_S} s"
        if wait is not None:
            said = f"`timeout_milliseconds = {wait.text}` in {block.name}"
        checked.add("TFM-APIGW-TIMEOUT", (wait or block).place, said, longer)


def rest_api(block: Block, assume: Assumptions, checked: Checked) -> None:
    """Where a REST API is."""
    types = [each.attributes.get("types") for each in block.below("endpoint_configuration")]
    texts = [each.text for each in types if each is not None]
    if not texts or any("EDGE" in text for text in texts):
        place = next((each.place for each in types if each is not None), block.place)
        checked.add("TFM-APIGW-EDGE", place, f"{block.name} is edge-optimised")


def http_api(block: Block, assume: Assumptions, checked: Checked) -> None:
    """An HTTP API."""
    if block.word("protocol_type") == "HTTP":
        checked.add("TFM-APIGW-HTTP", block.attributes["protocol_type"].place, f"{block.name} is an HTTP API")


def function_url(block: Block, assume: Assumptions, checked: Checked) -> None:
    """A function of its own address."""
    mode = block.attributes.get("invoke_mode")
    if mode is None or mode.literal == "BUFFERED":
        place = mode.place if mode is not None else block.place
        checked.add("TFM-LAMBDA-URL", place, f"{block.name} is in mode BUFFERED")


def application_gateway(block: Block, assume: Assumptions, checked: Checked) -> None:
    """Buffering of Application Gateway."""
    settings = [each.attributes.get("response_buffering_enabled") for each in block.below("global")]
    setting = next((each for each in settings if each is not None), None)
    if setting is None or setting.literal == "true":
        place = setting.place if setting is not None else block.place
        fix = _replaced(setting, "response_buffering_enabled = false", checked) if setting is not None else ()
        checked.add("TFM-APPGW-BUFFERING", place, f"{block.name} has response buffering on", fix)


def azure_rule(block: Block, assume: Assumptions, checked: Checked) -> None:
    """A rule of Azure's load balancer."""
    setting = block.attributes.get("tcp_reset_enabled") or block.attributes.get("enable_tcp_reset")
    if setting is None or setting.literal == "false":
        place = setting.place if setting is not None else block.place
        name = setting.name if setting is not None else "tcp_reset_enabled"
        fix = put(block, setting, f"{name} = true", checked)
        checked.add("TFM-AZURE-LB-RESET", place, f"{block.name} has no TCP reset", fix)


def cloudflare_setting(block: Block, assume: Assumptions, checked: Checked) -> None:
    """One setting of a zone, or all of them."""
    found = {block.word("setting_id") or "": block.attributes.get("value")}
    for settings in block.below("settings"):
        found |= settings.attributes
    buffering, read = found.get("response_buffering"), found.get("proxy_read_timeout")
    if buffering is not None and buffering.literal == "on":
        checked.add("TFM-CLOUDFLARE-BUFFERING", buffering.place, f"{block.name} turns it on")
    if read is not None and read.number is not None and read.number < FIRST_EVENT_S:
        checked.add("TFM-CLOUDFLARE-READ", read.place, f"{block.name} sets it to {said_s(read.number)}")


def put(block: Block, old: Attribute | None, text: str, checked: Checked) -> tuple[Edit, ...]:
    """An attribute changed, or put before the first one."""
    if not text:
        return ()
    if old is not None:
        return _replaced(old, text, checked)
    first = next(iter(block.attributes.values()), None)
    # Before a first attribute that is alone in its line, and not in that of the brace.
    if first is None or first.place.line == block.place.line:
        return ()
    return edits.insert_before(checked.files[first.place.file], first.place, text)


def _replaced(old: Attribute, text: str, checked: Checked) -> tuple[Edit, ...]:
    lines = checked.files[old.place.file]
    alone = old.one_line and lines[old.place.line - 1].lstrip().startswith(old.name)
    return edits.replace(lines, old.place, text) if alone else ()


JUDGES: dict[str, Callable[[Block, Assumptions, Checked], None]] = {
    "aws_lb": load_balancer,
    "aws_alb": load_balancer,
    "aws_api_gateway_integration": api_integration,
    "aws_api_gateway_rest_api": rest_api,
    "aws_apigatewayv2_api": http_api,
    "aws_lambda_function_url": function_url,
    "azurerm_application_gateway": application_gateway,
    "azurerm_lb_rule": azure_rule,
    "cloudflare_zone_setting": cloudflare_setting,
    "cloudflare_zone_settings_override": cloudflare_setting,
}
