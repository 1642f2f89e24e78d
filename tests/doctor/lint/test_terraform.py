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
        (resource("aws_api_gateway_integration", "response_transfer_mode = var.x"), []),
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


def test_a_line_is_put_before_the_first_attribute_if_there_is_one() -> None:
    text = resource("aws_lb", '  name = "x"')
    (finding,) = checked(text).findings
    assert applied(text.split("\n"), finding.edits)[1:3] == ["  idle_timeout = 300", '  name = "x"']
    for flat in ('resource "aws_lb" "x" {}', 'resource "aws_lb" "x" { name = "x" }'):
        assert checked(flat).findings[0].edits == ()


def test_without_a_resource_that_is_known_nothing_is_judged() -> None:
    found = checked('locals {\n  a = 1\n}\nresource "aws_s3_bucket" "x" {}')
    assert (found.findings, found.notes) == ([], ["a.tf has no resource that is known here"])
