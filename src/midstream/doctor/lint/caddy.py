"""Caddy: every ``reverse_proxy`` of a Caddyfile, and the servers that they stand in.

Rule: by itself Caddy is right for streams; a finding is a line that somebody added, or a version that no line cures.
"""

from collections.abc import Iterator

from midstream.doctor.lint import edits
from midstream.doctor.lint.caddy_tree import Line, parse
from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import BODY_BYTES, FIRST_EVENT_S, Assumptions, Checked, Edit
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.units import said_s, seconds, size_bytes

HONEST_VERSION = "2.8"

# The first version that sends a prompt which it has kept a second time; before, the second try finds it used up.
RESENDING_VERSION = "2.11"


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a Caddyfile. Raises `Unreadable`."""
    checked = Checked()
    top = parse(source, checked)
    lines = [line for block in top for line in block.walk()]
    proxies = [line for line in lines if line.name == "reverse_proxy"]
    if not proxies:
        checked.nothing(f"{source.name} has no reverse_proxy")
        return checked
    version(proxies[0], assume, checked)
    for proxy in proxies:
        buffers(proxy, checked)
        transport(proxy, assume, checked)
        retries(proxy, assume, checked)
    for options in (block for block in top if not block.words):
        server_timeouts(options, checked)
        grace(options, assume, checked)
    for line in lines:
        if line.name == "request_body":
            body_size(line, checked)
    return checked


def version(proxy: Line, assume: Assumptions, checked: Checked) -> None:
    """Versions that no configuration cures."""
    old = assume.before("caddy", HONEST_VERSION)
    if old:
        checked.add("CAD-SILENT", proxy.place, f"this Caddy is older than {HONEST_VERSION}")
    elif old is None:
        said = f"if this Caddy is older than {HONEST_VERSION} (`caddy version`; Debian's are)"
        checked.add("CAD-SILENT", proxy.place, said, severity=Severity.NOTE)


def buffers(proxy: Line, checked: Checked) -> None:
    """What holds events back, and what is said to help against it."""
    for line in [*proxy.here("buffer_responses"), *proxy.here("response_buffers")]:
        if line.words[1:2] != ("0",):
            checked.add("CAD-BUFFER", line.place, f"`{line.told()}`", _without(line))
    for line in proxy.here("flush_interval"):
        checked.add("CAD-NOOP-FLUSH", line.place, f"`{line.told()}`", _without(line))


def transport(proxy: Line, assume: Assumptions, checked: Checked) -> None:
    """The limits of silence."""
    for block in proxy.here("transport"):
        for line, limit_s in _limits(block, "read_timeout"):
            if limit_s < assume.silence_s:
                said = f"`{line.told()}`, with a ping each {said_s(assume.ping_s)}"
                fix = _instead(line, "read_timeout 120s", checked)
                checked.add("CAD-READ-TIMEOUT-SHORT", line.place, said, fix)
        for line, limit_s in _limits(block, "response_header_timeout"):
            if limit_s < FIRST_EVENT_S:
                fix = _instead(line, "response_header_timeout 120s", checked)
                checked.add("CAD-HEADER-TIMEOUT", line.place, f"`{line.told()}`", fix)


def retries(proxy: Line, assume: Assumptions, checked: Checked) -> None:
    """What is sent again after an upstream broke off: only what Caddy has kept."""
    tries = [*proxy.here("lb_retries"), *proxy.here("lb_try_duration")]
    kept = [line for line in proxy.here("request_buffers") if line.words[1:2] != ("0",)]
    old = assume.before("caddy", RESENDING_VERSION)
    for line in filter(None, map(_matching_posts, proxy.here("lb_retry_match") if tries else [])):
        said, severity = f"`{line.told()}` with `{tries[0].told()}`", None
        if not kept or old:
            why = f"before {RESENDING_VERSION}" if kept else "without `request_buffers`"
            said, severity = f"{said}: {why}, no prompt is there to send again", Severity.NOTE
        elif old is None:
            said, severity = f"{said} (if this Caddy is {RESENDING_VERSION} or later)", Severity.WARNING
        checked.add("CAD-RETRY-POST", line.place, said, severity=severity)


def _matching_posts(match: Line) -> Line | None:
    """The line by which a POST is matched: one that names it, or the matcher itself where no method is named."""
    methods = [line for line in (match, *(match.block or [])) if any("method" in word.lower() for word in line.words)]
    posts = [line for line in methods if any("POST" in word.upper() for word in line.words)]
    return next(iter(posts or ([] if methods else [match])), None)


def server_timeouts(options: Line, checked: Checked) -> None:
    """The limits of a server."""
    for timeouts in (line for servers in options.here("servers") for line in servers.here("timeouts")):
        for line, _ in _limits(timeouts, "write"):
            checked.add("CAD-WRITE-TIMEOUT", line.place, f"`{line.told()}`")
        for name in ("read_body", "idle"):
            for line, _ in _limits(timeouts, name):
                checked.add("CAD-NOOP-TIMEOUTS", line.place, f"`{line.told()}`")


def grace(options: Line, assume: Assumptions, checked: Checked) -> None:
    """How long streams live on after a stop."""
    for line, limit_s in _limits(options, "grace_period"):
        if limit_s < assume.stream_s:
            said = f"`{line.told()}`, and a stream may take {said_s(assume.stream_s)}"
            checked.add("CAD-GRACE", line.place, said)


def body_size(block: Line, checked: Checked) -> None:
    """Large prompts."""
    for line in block.here("max_size"):
        limit = size_bytes(line.words[1]) if len(line.words) > 1 else None
        if limit is not None and limit < BODY_BYTES:
            checked.add("CAD-BODY-SIZE", line.place, f"`{line.told()}`", _instead(line, "max_size 64MB", checked))


def _limits(block: Line, name: str) -> Iterator[tuple[Line, float]]:
    """The lines of this name that set a limit; 0 is none."""
    for line in block.here(name):
        limit_s = seconds(line.words[1]) if len(line.words) > 1 else None
        if limit_s:
            yield line, limit_s


def _without(line: Line) -> tuple[Edit, ...]:
    return (Edit("delete", line.place),) if line.block is None else ()


def _instead(line: Line, text: str, checked: Checked) -> tuple[Edit, ...]:
    return edits.replace(checked.files[line.place.file], line.place, text)
