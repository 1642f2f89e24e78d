"""What is told of the gateway: lines of the log, metrics, spans, and the second port.

Rule: told by the hub, asked by the second port; changes nothing.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from midstream.gateway.breaker import Breaker
from midstream.gateway.config import Settings
from midstream.gateway.control import Control
from midstream.gateway.http.heads import Headers
from midstream.gateway.hub import Hub, Stream
from midstream.gateway.log import Log
from midstream.gateway.metrics import Metrics
from midstream.gateway.schema import Address
from midstream.gateway.startup import announce, bare_upstreams, raise_file_limit, reload_tokens
from midstream.gateway.tokens import Tokens
from midstream.gateway.tracing import Tracing
from midstream.gateway.view import Breaker as State
from midstream.gateway.view import Open, StreamView
from midstream.journal.port import Health, Journal
from midstream.recovery.failure import Kind
from midstream.recovery.history import AttemptRecord
from midstream.reports import Report

if TYPE_CHECKING:
    from midstream.gateway.main import Gateway


class Watching:
    """The hub's `Observer`, and the second port's `View`."""

    def __init__(self, settings: Settings, names: Sequence[str], breakers: Sequence[Breaker], journal: Journal) -> None:
        self.draining = False
        self.control: Address | None = None
        """Where the second port is."""
        self.log = Log(settings.log)
        self.metrics = Metrics(names)
        self._settings = settings
        self._names, self._breakers, self._journal = names, breakers, journal
        self._tracing = Tracing(on=settings.otel)
        self._now = asyncio.get_running_loop().time
        self._hub: Hub | None = None
        self._gateway: Gateway | None = None
        self._control: Control | None = None
        self._announced = False

    async def start(self, gateway: "Gateway") -> None:
        """Opens the second port, and says where everything is."""
        self._gateway, self._hub = gateway, gateway.hub
        self.metrics.watch(self)
        if self._settings.control_listen is not None:
            self._control = Control(self, self.metrics, self._settings.control_listen)
            self.control = await self._control.start()
        if (warning := raise_file_limit(self._settings.streams_max)) is not None:
            self.log.warned(warning)
        if self._tracing.warning is not None:
            self.log.warned(self._tracing.warning)
        if gateway.plane.tokens is not None and gateway.plane.tokens.warning:
            self.log.warned(gateway.plane.tokens.warning)
        if (warning := bare_upstreams(self._settings, gateway.hub.routing.upstreams)) is not None:
            self.log.warned(warning)
        announce(self.log, self._settings, self._settings.listen._replace(port=gateway.port), self.control)
        self._announced = True
        if gateway.hub.running:
            self.log.line("info", "adopted", streams=len(gateway.hub.running))

    async def aclose(self) -> None:
        """Closes the second port."""
        if self._control is not None:
            await self._control.aclose()
        if self._announced:
            self.log.stopped(streams_left=len(self._hub.running) if self._hub is not None else 0)

    def reload(self, tokens: Tokens) -> None:
        """Reads the clients' tokens again; a broken file changes nothing."""
        reload_tokens(tokens, self.log)

    # As the hub's observer.

    def stream_started(self, stream: Stream, headers: Headers, *, adopted: bool) -> None:
        self.metrics.stream_started(adopted=adopted)
        stream.span = self._tracing.stream(stream.id, stream.model, headers)

    def attempt_ended(self, stream: Stream, record: AttemptRecord, after: Kind | None) -> None:
        upstream = self._names[record.upstream or 0]
        self.metrics.attempt_ended(record, upstream, after)
        stream.span.attempt_ended(record, upstream)
        if record.number > 1:
            self.log.recovered(stream.id, record, upstream, after)

    def stream_spoke(self, silence_s: float) -> None:
        self.metrics.silence(silence_s)

    def stream_ended(self, stream: Stream, report: Report) -> None:
        self.metrics.stream_ended(report)
        stream.span.ended(report)
        producer = stream.producer
        assert producer is not None, "it is what ends a stream"
        self.metrics.totals.bytes_from_upstreams += producer.read_bytes
        self.log.stream_ended(
            stream.id,
            report,
            upstream=producer.upstream,
            client=stream.asker.name or None,
            bytes=producer.shown_bytes,
        )

    def reader_attached(self, stream: Stream, *, by_retry: bool) -> None:
        self.metrics.reattached(by_retry=by_retry)

    # As the second port's view.

    def streams(self) -> Iterable[StreamView]:
        now = time.time()
        for stream in self._hub.running.values() if self._hub is not None else ():
            producer = stream.producer
            assert producer is not None, "it is made together with its stream"
            yield StreamView(
                id=stream.id,
                age_s=round(now - stream.created_at, 3),
                upstream=producer.upstream,
                attempts=len(producer.attempts),
                state=producer.state,
                readers=len(stream.readers),
                offset=producer.offset,
                size_bytes=producer.shown_bytes,
            )

    def open_counts(self) -> Open:
        if self._hub is None or self._gateway is None:
            return Open()
        hub, connections = self._hub, self._gateway.server.connections
        return Open(len(hub.running), hub.readers, connections, hub.pool.connections, hub.bodies.held_bytes)

    def journal_health(self) -> Health:
        return self._journal.health

    def breakers(self) -> Mapping[str, State]:
        now, found = self._now(), zip(self._names, self._breakers, strict=True)
        return {name: _state(breaker, now) for name, breaker in found}


def _state(breaker: Breaker, now: float) -> State:
    """One that is open closes when somebody asks; that the next one may ask is as good to a load balancer."""
    if breaker.state.value == "open" and not breaker.retry_in_s(now):
        return "half_open"
    return breaker.state.value
