"""The settings of the gateway, each with its unit, its default and the reason for it.

Rule: values only. Where they come from is `sources`'s, what each may be `schema`'s.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from midstream.gateway.schema import Address, Choice, File, Kind, Names, Place, Switch, count, seconds, size
from midstream.recovery.policy import Policy

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. `sources.load` makes it for users; made directly, the journal is in memory."""

    listen: Annotated[Address, Place()] = Address("127.0.0.1", 8100)
    """Where clients connect. Default: loopback, so that nobody else gets in by accident. Any other address needs
    `tokens` or `pass_credentials`. Port 0 takes any free one."""
    control_listen: Annotated[Address | None, Place(off=True)] = Address("127.0.0.1", 8101)
    """Where health, metrics and the list of streams are; ``off`` for nowhere. Default: loopback, the port after
    `listen`'s. They ask for no token: any other address needs `control_public`."""
    control_public: Annotated[bool, Switch()] = False
    """Whether `control_listen` may be an address that others can reach. Default no: it tells what is running."""
    tokens: Annotated[Path | None, File()] = None
    """The file with the clients' own tokens (its schema is below). Clients then send those, and the gateway holds the
    credentials of its upstreams. Default: none; clients bring the upstream's credentials. Re-read on SIGHUP."""
    pass_credentials: Annotated[bool, Switch()] = False
    """Whether `listen` may be an address that others can reach without `tokens`, as clients bring the upstream's own
    credentials. Default no: that it is open is to be said, not to happen."""

    upstream: Annotated[tuple[str, ...], Names()] = ("anthropic",)
    """Which services are asked, in order: the next takes over where one fails. ``anthropic``, a URL,
    ``bedrock:REGION``, ``mantle:REGION``, ``aws-messages:REGION``, ``vertex:PROJECT/REGION``, ``google:…`` or
    ``foundry:RESOURCE``. Default: Anthropic's own API."""
    upstreams: dict[str, dict[str, Any]] = {}
    """A table for each upstream that needs more than its name, in the file only: ``[upstreams."bedrock:us-east-1"]``.
    Default: none."""
    breaker_failures: Annotated[int, count()] = 5
    """Attempts in a row that must fail before an upstream is left out for `breaker_open_s`. Default 5: one more than a
    single stream makes by itself, so one unlucky stream opens nothing."""
    breaker_open_s: Annotated[float, seconds()] = 30.0
    """Seconds for which an upstream is left out; then one attempt tries it. Default 30: most overloads
    last seconds."""

    journal: Annotated[Path | None, File("memory")] = None
    """The file of the journal, or ``memory``. Default: ``$XDG_STATE_HOME/midstream/journal.sqlite3``, or that below
    ``~/.local/state``, so that streams survive a crash without any setting. Prompts and replies are in it in clear."""
    journal_sync: Annotated[Literal["full", "relaxed", "none"], Choice(("full", "relaxed", "none"))] = "full"
    """What must have happened before a client sees a frame: ``full``, it is on the disk; ``relaxed``, the system has
    it, so a power cut may lose it; ``none``, nothing, so a crash of the gateway may. Default full: what was shown can
    be shown again."""
    journal_tick_s: Annotated[float, seconds(0, above_low=False)] = 0.01
    """Seconds over which writes to the journal are gathered. Default 0.01: less than a client notices, and 100 syncs a
    second at most."""
    retention_age_s: Annotated[float, seconds()] = 24 * 3600.0
    """Seconds for which an ended stream is kept. Default 86,400, a day: who was cut off in the evening can come back
    in the morning."""
    retention_bytes: Annotated[int, size(MIB)] = GIB
    """Bytes of ended streams that are kept; the oldest go first. Default 1 GiB: a thousand streams with requests of
    1 MiB, and no surprise on a small disk."""

    early_s: Annotated[float, seconds(0, above_low=False)] = 20.0
    """Seconds to wait for the first event, retries included, before the gateway answers 200 by itself. An error known
    by then keeps its status. Default 20: Claude Code tells its user after 20 s that nothing comes."""
    ping_s: Annotated[float, seconds()] = 10.0
    """Seconds of silence after which a client gets a ping. Default 10: half of what the most impatient client or proxy
    is known to wait."""
    hold_s: Annotated[float, seconds()] = 240.0
    """Seconds for which thinking or structured output is held at most; then it is shown live. Default 240: clients
    give up after 300 without an event."""
    on_leave: Annotated[Literal["finish", "cancel", "grace"], Choice(("finish", "cancel", "grace"))] = "grace"
    """What happens to a stream when its last reader has left: it is finished for whoever comes back, or cancelled, at
    once or after `grace_s`. Default grace: a reader that was cut off can come back, one that stopped pays for nothing
    more."""
    grace_s: Annotated[float, seconds(0, above_low=False)] = 30.0
    """Seconds for ``on_leave = "grace"``. Default 30: longer than the SDKs' retries take to come back."""
    drain_s: Annotated[float, seconds(0, above_low=False)] = 30.0
    """Seconds for which streams may finish after SIGTERM; the rest is left to the next process. Default 30: what
    container platforms give."""

    streams_max: Annotated[int, count()] = 4000
    """Open streams in all; more get a 429. Default 4,000: twice what was measured to run well on two cores."""
    streams_per_owner_max: Annotated[int, count()] = 1000
    """Open streams of one credential; more get a 429. Default 1,000: a quarter of all, so that one client leaves room
    for others."""
    readers_per_stream_max: Annotated[int, count()] = 100
    """Readers of one stream at a time; more get a 429. Default 100: more than one person has windows."""
    reader_backlog_bytes_max: Annotated[int, size(4 * KIB)] = 256 * KIB
    """Bytes that wait in memory for a slow reader; the rest waits in the journal. Default 256 KiB: a second of the
    fastest stream."""
    reader_stall_s: Annotated[float, seconds()] = 60.0
    """Seconds after which a reader that takes nothing is cut off. Default 60: longer than a phone is in a tunnel, and
    it can come back."""
    connections_max: Annotated[int, count()] = 10_000
    """Connections of clients; more are closed at once. Default 10,000: `streams_max` and as many idle ones."""
    keep_alive_s: Annotated[float, seconds()] = 75.0
    """Seconds for which an idle connection of a client is kept. Default 75: longer than the 60 for which load
    balancers keep theirs, so that it is they who close."""
    head_bytes_max: Annotated[int, size(KIB)] = 64 * KIB
    """Bytes of a request's line and headers; more get a 431. Default 64 KiB: four times what common servers allow, for
    long lists of beta headers and session tokens."""
    head_s: Annotated[float, seconds()] = 10.0
    """Seconds for a request's line and headers to arrive; then a 408. Default 10: they fit in a few packets."""
    body_bytes_max: Annotated[int, size(KIB)] = 32 * MIB
    """Bytes of a request's body; more get a 413. Default 32 MiB: the API's own limit for messages. Uploads of files and
    batches may be larger there (500 and 256 MB): raise it for them."""
    bodies_bytes_max: Annotated[int, size(KIB)] = GIB
    """Bytes of all requests' bodies that are in memory at a time, those of running streams included; more get a 503
    and a `retry-after`. Default 1 GiB: `streams_max` long conversations of 256 KiB, or 32 of the largest bodies, on a
    machine of 4 GB. Must not be less than `body_bytes_max`."""
    body_idle_s: Annotated[float, seconds()] = 30.0
    """Seconds without a byte of a body that is not complete; then a 408. Default 30: any live upload moves sooner."""
    body_s: Annotated[float, seconds()] = 300.0
    """Seconds for a whole body; then a 408. Default 300: the largest body at 110 KB a second."""
    upstream_connections_max: Annotated[int, count()] = 8000
    """Connections to upstreams. Default 8,000: two for each of `streams_max`, as an old one may be closing."""
    upstream_idle_s: Annotated[float, seconds()] = 30.0
    """Seconds for which an idle connection to an upstream is kept for the next request. Default 30: under the 60 after
    which common load balancers close theirs."""

    log: Annotated[Literal["auto", "json", "text", "off"], Choice(("auto", "json", "text", "off"))] = "auto"
    """What is told on stderr: a JSON object a line, text, or nothing. Default auto: text on a terminal, else JSON."""
    otel: Annotated[bool, Switch()] = False
    """Whether each stream is a span of OpenTelemetry; needs its packages. Default no: it costs time for each
    stream."""

    policy: Policy = Policy()
    """When an attempt has failed, and what is done then: the same `Policy` as the middleware's, in ``[policy]``."""


def kinds() -> dict[str, Kind]:
    """What each setting may be, in the order of `Settings`; without `upstreams` and `policy`, which are tables."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}


def default_of(name: str) -> object:
    """The default of a setting."""
    return getattr(_DEFAULTS, name)


_DEFAULTS = Settings()
