"""Which test shows which rule in the real proxy or relay: every rule by its name, or why there is none."""

from collections.abc import Callable
from typing import Any

import pytest

from midstream.doctor.lint.catalogue import FAMILIES, Known, family, rules
from tests.doctor.lint import test_proof as proof
from tests.doctor.lint import test_proof_more as more
from tests.doctor.lint import test_proof_relays as relays
from tests.doctor.lint import test_proof_rest as rest
from tests.doctor.lint import test_proof_traefik as traefik

Test = Callable[..., Any]

TABLES: list[tuple[Test, Any]] = [
    (proof.test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not, proof.HARMS),
    (proof.test_what_takes_seconds_does_harm_in_the_bad_one_alone, proof.SLOW),
    (proof.test_a_line_that_is_said_to_help_does_not, proof.NOTHING),
    (proof.test_a_line_of_envoy_made_wrong_does_harm_and_fix_cures_it, proof.ENVOY),
    (more.test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not, more.HARMS),
    (more.test_a_limit_that_is_short_cuts_and_one_that_is_long_does_not, more.SLOW),
    (more.test_a_line_that_is_no_limit_of_a_stream_cuts_none, more.NO_LIMIT),
    (more.test_a_short_grace_cuts_streams_and_a_long_one_lets_them_be, more.STOPS),
    (rest.test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not, rest.HARMS),
    (rest.test_what_takes_seconds_does_harm_in_the_bad_one_alone, rest.SLOW),
    (traefik.test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not, traefik.HARMS),
    (relays.test_a_relay_made_wrong_does_harm_and_the_right_one_does_not, relays.HARMS),
    (rest.test_only_a_limit_frees_the_client_of_a_dead_upstream_and_pings_pass_it, rest.NO_END),
]
"""Tests of several rules."""

ALONE: dict[str, Test] = {
    "CAD-SILENT": rest.test_caddy_hides_a_cut_in_old_versions_alone,
    "CAD-RETRY-POST": rest.test_caddy_sends_a_post_again_only_where_it_has_kept_the_prompt,
    "CAD-NOOP-FLUSH": more.test_without_the_line_events_go_on_at_once_all_the_same,
    "APA-NOOP-FLUSH": more.test_without_the_line_events_go_on_at_once_all_the_same,
    "APA-NOOP-GZIP": more.test_apache_compresses_each_event_at_once,
    "APA-NOOP-BODY": proof.test_a_limit_of_apache_refuses_no_prompt_that_is_proxied,
    "APA-GRACEFUL": rest.test_a_graceful_stop_of_apache_cuts_streams_only_with_a_limit,
    "ENV-NOOP-CLUSTER-IDLE": rest.test_the_idle_timeout_of_a_cluster_cuts_no_stream,
    "TRF-NOOP-TIMEOUTS": traefik.test_limits_of_uploads_and_of_idle_connections_cut_no_stream,
    "TRF-NOOP-FLUSH": traefik.test_events_go_on_at_once_with_the_line_and_without,
    "VCL-HTTP2": proof.test_varnish_hides_a_cut_from_http2_alone,
    "VCL-SEND-TIMEOUT": proof.test_varnish_gives_a_whole_reply_so_long_however_lively_it_is,
}

NO_PROXY = {
    "kubernetes": "there is no cluster; what its nginx and Envoy do is shown in theirs",
    "terraform": "load balancers of clouds are to be had in their clouds alone",
    "cloudflare": "it is to be had at Cloudflare alone",
}
"""Families that cannot be shown here, and why."""

SHOWN: dict[str, Test] = {**{rule: test for test, table in TABLES for rule in table}, **ALONE}


@pytest.mark.parametrize("rule", [rule.id for name in FAMILIES if name not in NO_PROXY for rule in family(name).rule])
def test_a_rule_is_shown_in_its_proxy(rule: str) -> None:
    assert rule in SHOWN, "no test shows it"
    assert rules()[rule].known is Known.MEASURED, "it is shown, and does not say so"


@pytest.mark.parametrize("name", NO_PROXY)
def test_a_family_without_its_proxy_has_no_rule_that_is_shown(name: str) -> None:
    assert [rule.id for rule in family(name).rule if rule.id in SHOWN] == []


def test_no_test_is_for_a_rule_that_is_not() -> None:
    assert sorted(SHOWN) == sorted(set(SHOWN) & set(rules()))
    assert len(SHOWN) == sum(len(table) for _, table in TABLES) + len(ALONE), "a rule is shown twice"
