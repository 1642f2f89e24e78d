"""What is counted: every number is in the exposition under its name, and labels stay few."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from midstream.gateway.metrics import OUTCOMES, Metrics, plan_of
from midstream.gateway.view import Open
from midstream.journal.port import Health
from midstream.recovery.failure import Kind
from tests.gateway.test_view import Told
from tests.gateway.told import CONTENT, SECRET, failure, record, report

VIEW = Told(
    draining=True,
    health=Health(ok=False, detail="full", pending_bytes=7, lag_s=1.5),
    states={"anthropic": "open", "bedrock:eu": "closed"},
    counts=Open(1, 2, 3, 4, 5),
)


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample of the exposition, by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def counted() -> Metrics:
    metrics = Metrics(["anthropic", "bedrock:eu"])
    metrics.watch(VIEW)
    metrics.totals.bytes_from_upstreams += 10
    metrics.totals.bytes_to_clients += 20
    metrics.totals.pings += 3
    metrics.stream_started()
    metrics.stream_started(adopted=True)
    metrics.stream_ended(report("complete"))
    metrics.stream_ended(report("closed"))
    metrics.stream_ended(report("failed", broke=failure(Kind.OVERLOADED)))
    metrics.attempt_ended(record(failure=failure()), "anthropic")
    metrics.attempt_ended(record(2, "continue turn"), "bedrock:eu", Kind.TRUNCATED)
    metrics.silence(0.3)
    metrics.reattached(by_retry=True)
    metrics.reattached(by_retry=False)
    metrics.refused(429)
    return metrics


EXPECTED = {
    "midstream_bytes_total{direction=from_upstreams}": 10,
    "midstream_bytes_total{direction=to_clients}": 20,
    "midstream_pings_total": 3,
    "midstream_streams_started_total{how=new}": 1,
    "midstream_streams_started_total{how=adopted}": 1,
    "midstream_streams_ended_total{outcome=complete}": 1,
    "midstream_streams_ended_total{outcome=closed}": 1,
    "midstream_streams_ended_total{outcome=overloaded}": 1,
    "midstream_streams_ended_total{outcome=garbled}": 0,
    "midstream_stream_seconds_count": 3,
    "midstream_stream_seconds_sum": 7.5,
    "midstream_attempts_total{outcome=truncated,upstream=anthropic}": 1,
    "midstream_attempts_total{outcome=ended,upstream=bedrock:eu}": 1,
    "midstream_recoveries_total{kind=truncated,plan=continue}": 1,
    "midstream_silence_seconds_bucket{le=0.25}": 0,
    "midstream_silence_seconds_bucket{le=0.5}": 1,
    "midstream_readers_reattached_total{how=retry}": 1,
    "midstream_readers_reattached_total{how=id}": 1,
    "midstream_requests_refused_total{status=429}": 1,
    "midstream_streams_open": 1,
    "midstream_readers_open": 2,
    "midstream_connections_open": 3,
    "midstream_upstream_connections_open": 4,
    "midstream_bodies_held_bytes": 5,
    "midstream_draining": 1,
    "midstream_journal_ok": 0,
    "midstream_journal_lag_seconds": 1.5,
    "midstream_journal_pending_bytes": 7,
    "midstream_breaker_state{state=open,upstream=anthropic}": 1,
    "midstream_breaker_state{state=closed,upstream=anthropic}": 0,
    "midstream_breaker_state{state=closed,upstream=bedrock:eu}": 1,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_number_is_in_the_exposition(name: str) -> None:
    assert samples(counted())[name] == EXPECTED[name]


def test_each_registry_is_its_own_and_nothing_is_counted_twice() -> None:
    assert samples(Metrics(["a"]))["midstream_pings_total"] == 0
    assert samples(counted()) and samples(counted())


def test_before_the_data_plane_is_known_the_rest_is_told() -> None:
    found = samples(Metrics([]))
    assert "midstream_streams_open" not in found
    assert sum(name.startswith("midstream_streams_ended_total") for name in found) == len(OUTCOMES)
    assert any(name.startswith("midstream_info{version=") for name in found)


def test_what_the_world_says_makes_no_label() -> None:
    metrics = Metrics(["anthropic"])
    before = len(samples(metrics))
    for number in range(20):
        metrics.attempt_ended(record(2, f"{SECRET}{number}", failure=failure(error_type=SECRET)), f"{SECRET}{number}")
        metrics.refused(600 + number)
        metrics.stream_ended(report("failed"))
    # One attempt, one recovery, one refusal, one outcome: each with its sample and the time that it was made.
    assert len(samples(metrics)) - before <= 8
    assert SECRET.encode() not in metrics.exposition() and CONTENT.encode() not in metrics.exposition()


PLANS = [
    ("first", "first"),
    ("restart", "restart"),
    ("continue turn", "continue"),
    ("settle", "settle"),
    ("x", "other"),
]


@pytest.mark.parametrize(("plan", "label"), PLANS)
def test_a_plan_is_one_of_a_few_words(plan: str, label: str) -> None:
    assert plan_of(record(2, plan)) == label
