"""What is counted, for Prometheus.

Rule: nothing here is called for each event. What a stream does often is a plain number in `Totals`, read at a scrape;
every label has a small, known set of values.
"""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from midstream._version import __version__
from midstream.gateway.view import View
from midstream.recovery.failure import Kind
from midstream.recovery.history import AttemptRecord
from midstream.reports import Report
from midstream.usual import Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

OTHER = "other"
"""Stands for every value that is not in a label's set."""

PLANS = frozenset({"first", "restart", "continue", "settle"})
OUTCOMES = ("complete", "closed", *Kind)
STATUSES = frozenset(
    {400, 401, 403, 404, 405, 408, 409, 410, 411, 413, 414, 415, 417, 429, 431, 500, 501, 502, 503, 504, 529}
)
"""Those with which the gateway itself refuses a request."""
BREAKERS = ("closed", "half_open", "open")

# From what nobody notices, past the pings of 10 s and Claude Code's notice at 20 s, to where clients give up: 300 s.
SILENCE_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 180, 300)
# From one word to the longest reply with thinking.
DURATION_S = (0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 3600)


class Metrics:
    """Counts what happens once or a few times for each stream, and gathers the rest at a scrape."""

    def __init__(self, upstreams: Sequence[str]) -> None:
        self.totals = Totals()
        self.registry = CollectorRegistry(auto_describe=False)
        self._upstreams = frozenset(upstreams)
        self._view: View | None = None
        ProcessCollector(registry=self.registry)
        self.registry.register(_AtScrape(self.totals, lambda: self._view))
        self._started = self._counter("streams_started", "Streams that were begun; adopted ones too.", "how")
        self._ended = self._counter("streams_ended", "Streams that ended: complete, closed, or what failed.", "outcome")
        self._attempts = self._counter("attempts", "Requests to upstreams that ended.", "upstream", "outcome")
        self._recoveries = self._counter(
            "recoveries", "Attempts after the first, and what made them needed.", "plan", "kind"
        )
        self._reattached = self._counter("readers_reattached", "Readers that came back to a stream.", "how")
        self._refused = self._counter("requests_refused", "Requests that the gateway itself refused.", "status")
        self._silence = self._histogram(
            "silence_seconds", "Seconds in which a client saw nothing new because of a recovery.", SILENCE_S
        )
        self._duration = self._histogram(
            "stream_seconds", "Seconds from the first to the last of a stream.", DURATION_S
        )
        for outcome in OUTCOMES:  # a series that is there from the start shows its first rise
            self._ended.labels(str(outcome))

    def watch(self, view: View) -> None:
        """Where the numbers come from that are asked for at a scrape."""
        self._view = view

    def stream_started(self, *, adopted: bool = False) -> None:
        """A stream began, or was taken over from a process that crashed."""
        self._started.labels("adopted" if adopted else "new").inc()

    def stream_ended(self, report: Report) -> None:
        """A stream is over."""
        kind = str(report.failure.kind) if report.failure else OTHER
        self._ended.labels(kind if report.outcome == "failed" else report.outcome).inc()
        self._duration.observe(report.elapsed_s)

    def attempt_ended(self, record: AttemptRecord, upstream: str, after: Kind | None = None) -> None:
        """An attempt is over. ``after``: what had ended the one before it."""
        outcome = str(record.failure.kind) if record.failure else "ended"
        self._attempts.labels(upstream if upstream in self._upstreams else OTHER, outcome).inc()
        if record.number > 1:
            self._recoveries.labels(plan_of(record), str(after) if after else OTHER).inc()

    def silence(self, seconds: float) -> None:
        """A client saw nothing new for so long, from the failure of an attempt to what the next one brought."""
        self._silence.observe(seconds)

    def reattached(self, *, by_retry: bool) -> None:
        """A reader came back: with the stream's id, or by sending its request again."""
        self._reattached.labels("retry" if by_retry else "id").inc()

    def refused(self, status: int) -> None:
        """The gateway itself refused a request."""
        self._refused.labels(str(status) if status in STATUSES else OTHER).inc()

    def exposition(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"midstream_{name}", help, labels, registry=self.registry)

    def _histogram(self, name: str, help: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"midstream_{name}", help, buckets=buckets, registry=self.registry)


def plan_of(record: AttemptRecord) -> str:
    """How an attempt began, without the form of a continuation."""
    word = record.plan.partition(" ")[0]
    return word if word in PLANS else OTHER


class _AtScrape(Collector):
    """The numbers that are asked for rather than told."""

    def __init__(self, totals: Totals, view: Callable[[], View | None]) -> None:
        self._totals = totals
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """Every number, now."""
        about = GaugeMetricFamily("midstream_info", "What runs.", labels=["version"])
        about.add_metric([__version__], 1)
        yield about
        moved = CounterMetricFamily("midstream_bytes", "Bytes of bodies.", labels=["direction"])
        moved.add_metric(["from_upstreams"], self._totals.bytes_from_upstreams)
        moved.add_metric(["to_clients"], self._totals.bytes_to_clients)
        yield moved
        yield CounterMetricFamily("midstream_pings", "Pings that the gateway made.", value=self._totals.pings)
        if (view := self._view()) is not None:
            yield from _gauges(view)


def _gauges(view: View) -> Iterator[Metric]:
    opened, health = view.open_counts(), view.journal_health()
    for name, text, value in (
        ("streams_open", "Streams that run.", opened.streams),
        ("readers_open", "Readers of streams.", opened.readers),
        ("connections_open", "Connections of clients.", opened.connections),
        ("upstream_connections_open", "Connections to upstreams.", opened.upstream_connections),
        ("bodies_held_bytes", "Bytes of requests that are held, of bodies_bytes_max.", opened.bodies_bytes),
        ("draining", "Whether the gateway is about to end.", view.draining),
        ("journal_ok", "Whether the journal can be written.", health.ok),
        ("journal_lag_seconds", "For how long the oldest record waits to be durable.", health.lag_s),
        ("journal_pending_bytes", "Bytes that wait to be durable.", health.pending_bytes),
    ):
        yield GaugeMetricFamily(f"midstream_{name}", text, value=float(value))
    state = GaugeMetricFamily("midstream_breaker_state", "1 for the state it is in.", labels=["upstream", "state"])
    for upstream, current in view.breakers().items():
        for name in BREAKERS:
            state.add_metric([upstream, name], float(name == current))
    yield state
