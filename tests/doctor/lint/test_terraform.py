"""Terraform, beyond the pairs of its rules: what is computed, what is chosen, and where a line is put."""

import pytest

from midstream.doctor.lint.edits import applied
from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.terraform import check


def checked(text: str, **assumed: float) -> Checked:
    return check(Source("a.tf", text), Assumptions(**assumed))


def rules_of(text: str, **assumed: float) -> list[str]:
    return [finding.rule.id for finding in checked(text, **assumed).findings]


def resource(kind: str, inside: str) -> str:
    return f'resource "{kind}" "x" {{\n{inside}\n}}\n'


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (resource("aws_alb", "idle_timeout = 60"), []),
        (resource("aws_lb", 'load_balancer_type = "gateway"'), []),
        (resource("aws_cloudfront_distribution", "origin {\ns3_origin_config {}\n}"), []),
        (resource("aws_cloudfront_distribution", "origin {\nresponse_completion_timeout = 0\n}"), []),
        (resource("google_cloud_run_v2_service", 'template {\ntimeout = "20m"\n}'), []),
        (resource("google_compute_backend_service", "timeout_sec = var.x"), []),
        (resource("google_compute_backend_service", 'protocol = "TCP"'), []),
        # Load balancers that pass packets on, as regional ones do where nothing is said, have no such limit.
        (resource("google_compute_region_backend_service", "timeout_sec = 10"), []),
        (resource("google_compute_region_backend_service", 'load_balancing_scheme = "EXTERNAL"'), []),
        (resource("google_compute_region_backend_service", "load_balancing_scheme = var.x"), ["TFM-GCP-TIMEOUT"]),
        (resource("aws_api_gateway_integration", "response_transfer_mode = var.x"), []),
        (
            resource("aws_api_gateway_integration", 'response_transfer_mode = "STREAM"\ntimeout_milliseconds = var.x'),
            [],
        ),
        (resource("aws_api_gateway_integration", 'type = "HTTP"'), ["TFM-APIGW-BUFFERED"]),
        (resource("aws_lambda_function_url", "invoke_mode = var.x"), []),
        (resource("azurerm_application_gateway", "global {\nresponse_buffering_enabled = var.x\n}"), []),
        (resource("cloudflare_zone_setting", 'setting_id = "brotli"\nvalue = "on"'), []),
        (resource("cloudflare_zone_setting", 'setting_id = "proxy_read_timeout"\nvalue = var.x'), []),
    ],
)
def test_what_is_computed_or_chosen_well_is_left_alone(text: str, rules: list[str]) -> None:
    assert rules_of(text) == rules


def test_a_limit_of_the_whole_reply_is_measured_by_the_longest_stream() -> None:
    text = resource("google_compute_backend_service", "timeout_sec = 600")
    assert rules_of(text) == ["TFM-GCP-TIMEOUT"] and rules_of(text, stream_s=500) == []


def group(kind: str) -> str:
    said = f'network_endpoint_type = "{kind}"' if kind else 'region = "x"'
    return resource("google_compute_region_network_endpoint_group", said)


@pytest.mark.parametrize(
    ("of", "rules"), [("SERVERLESS", []), ("", []), ("INTERNET_FQDN_PORT", ["TFM-GCP-TIMEOUT"]), (None, [])]
)
def test_google_refuses_a_limit_where_the_backend_is_serverless_and_so_none_is_asked_for(
    of: str | None, rules: list[str]
) -> None:
    backend = "backend {\ngroup = google_compute_region_network_endpoint_group.x.id\n}"
    elsewhere = "" if of is None else group(of)
    assert rules_of(elsewhere + resource("google_compute_backend_service", backend)) == rules


def test_a_proxied_address_is_made_to_stream_for_fifteen_minutes_and_a_function_is_left_to_its_owner() -> None:
    text = resource("aws_api_gateway_integration", '  type = "HTTP_PROXY"')
    (finding,) = checked(text).findings
    fixed = "\n".join(applied(text.split("\n"), finding.edits))
    assert 'response_transfer_mode = "STREAM"' in fixed and rules_of(fixed) == []
    (finding,) = checked(text.replace("HTTP_PROXY", "AWS_PROXY")).findings
    assert finding.edits == ()


def test_a_line_is_put_before_the_first_attribute_if_there_is_one() -> None:
    text = resource("aws_lb", '  name = "x"')
    (finding,) = checked(text).findings
    assert applied(text.split("\n"), finding.edits)[1:3] == ["  idle_timeout = 300", '  name = "x"']
    for flat in ('resource "aws_lb" "x" {}', 'resource "aws_lb" "x" { name = "x" }'):
        assert checked(flat).findings[0].edits == ()


def test_without_a_resource_that_is_known_nothing_is_judged() -> None:
    found = checked('locals {\n  a = 1\n}\nresource "aws_s3_bucket" "x" {}')
    assert (found.findings, found.notes) == ([], ["a.tf has no resource that is known here"])
