"""HAProxy: every backend that is asked over HTTP, with its defaults and the frontends that lead to it.

Rule: an option counts where it is in force, and is put where the servers are.
"""

from collections.abc import Iterator

from midstream.doctor.lint import edits
from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import LONG_S, Assumptions, Checked, Edit
from midstream.doctor.lint.haproxy_tree import Line, Section, parse
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.units import said_s, seconds

# The first version that resets a broken stream is 2.8, 2.9 or 3.0; 2.6 does not, 3.0 does.
H2_HONEST_VERSION = "3.0"

# What is repeated before anything was sent is repeated safely.
SAFE_RETRIES = frozenset("none conn-failure 0rtt-rejected".split())


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file. Raises `Unreadable`."""
    checked = Checked(files={source.name: source.lines})
    sections = parse(source)
    backends = [each for each in sections if each.kind in {"backend", "listen"} and each.here("server")]
    http = [each for each in backends if each.mode == "http"]
    for section in http:
        fronts = [section] if section.kind == "listen" else list(fronts_of(section, sections))
        options(section, fronts, checked)
        timeouts(section, assume, checked)
        retries(section, checked)
        compression([section, *fronts], checked)
        for front in fronts:
            http2(front, assume, checked)
            client_timeout(front, checked)
    if http:
        hard_stop(sections, assume, checked)
    else:
        reason = "they are in mode tcp, which touches no reply" if backends else "it has no backend with a server"
        checked.nothing(f"{source.name} proxies nothing over HTTP: {reason}")
    return checked


def fronts_of(backend: Section, sections: list[Section]) -> Iterator[Section]:
    """The frontends that lead to a backend."""
    for each in sections:
        uses = [*each.all("default_backend"), *each.here("use_backend")]
        if each.kind in {"frontend", "listen"} and any(line.words[1:2] == (backend.name,) for line in uses):
            yield each


def options(section: Section, fronts: list[Section], checked: Checked) -> None:
    """The two options that a stream needs."""
    place = section.here("server")[0].place
    lines = checked.files[place.file]
    if not section.option("http-no-delay") and not (fronts and all(front.option("http-no-delay") for front in fronts)):
        fix = edits.insert_before(lines, place, "option http-no-delay")
        checked.add("HAP-NO-DELAY", place, f"{section.told} has no `option http-no-delay`", fix)
    if not section.option("abortonclose"):
        said = f"{section.told} has no `option abortonclose`"
        checked.add("HAP-ABORTONCLOSE", place, said, _tell_of_leaving(section, fronts, checked))
    for front in fronts:
        # A frontend of its own takes the option from its defaults alone.
        if section.option("abortonclose") and front is not section and not _by_default(front, "abortonclose"):
            said = f"{front.told} has no `option abortonclose` from its defaults: that of {section.told} does nothing"
            checked.add("HAP-ABORTONCLOSE", place, said, _tell_of_leaving(section, fronts, checked))


def _by_default(section: Section, option: str) -> bool:
    return section.defaults is not None and section.defaults.option(option)


def _tell_of_leaving(section: Section, fronts: list[Section], checked: Checked) -> tuple[Edit, ...]:
    """The option where it counts: in the defaults of both sides, or in a section that is both."""
    if fronts == [section]:
        place = section.here("server")[0].place
    elif (
        section.defaults is not None and section.defaults.lines and all(f.defaults is section.defaults for f in fronts)
    ):
        place = section.defaults.lines[0].place
    else:
        return ()
    return edits.insert_before(checked.files[place.file], place, "option abortonclose")


def timeouts(section: Section, assume: Assumptions, checked: Checked) -> None:
    """The limit of silence."""
    line = section.setting("timeout", "server")
    if line is None:
        place = section.here("server")[0].place
        fix = edits.insert_before(checked.files[place.file], place, "timeout server 120s")
        checked.add("HAP-NO-TIMEOUT-SERVER", place, f"{section.told} has no `timeout server`", fix)
    else:
        limit_s = _limit_s(line)
        if limit_s is not None and limit_s < assume.silence_s:
            said = f"{section.told}: `{line.told()}`, with a ping each {said_s(assume.ping_s)}"
            checked.add("HAP-TIMEOUT-SERVER", line.place, said, _instead(line, "timeout server 120s", checked))
    tunnel = section.setting("timeout", "tunnel")
    if tunnel is not None:
        checked.add("HAP-NOOP-TUNNEL", tunnel.place, f"{section.told}: `{tunnel.told()}`")


def client_timeout(front: Section, checked: Checked) -> None:
    """A limit that somebody made long for the sake of streams."""
    line = front.setting("timeout", "client")
    limit_s = _limit_s(line) if line is not None else None
    if line is not None and limit_s is not None and limit_s >= LONG_S:
        checked.add("HAP-NOOP-CLIENT", line.place, f"{front.told}: `{line.told()}`")


def retries(section: Section, checked: Checked) -> None:
    """What is sent again."""
    line = section.setting("retry-on")
    if line is None or set(line.words[1:]) <= SAFE_RETRIES:
        return
    rules = section.all("http-request", "disable-l7-retry")
    if any(len(rule.words) == 2 or "METH_POST" in rule.words for rule in rules):
        return
    safe = [word for word in line.words[1:] if word in SAFE_RETRIES] or ["conn-failure"]
    fix = _instead(line, f"retry-on {' '.join(safe)}", checked)
    checked.add("HAP-RETRY-POST", line.place, f"{section.told}: `{line.told()}`", fix)


def compression(sections: list[Section], checked: Checked) -> None:
    """Compressed events."""
    for section in sections:
        algo, types = section.setting("compression", "algo"), section.all("compression", "type")
        named = {word.lower() for line in types for word in line.words[2:]}
        if algo is not None and (not types or "text/event-stream" in named):
            place = types[0].place if types else algo.place
            said = "names text/event-stream" if types else "has no `compression type`, so everything is compressed"
            checked.add("HAP-COMPRESSION", place, f"{section.told} {said}")


def http2(front: Section, assume: Assumptions, checked: Checked) -> None:
    """HTTP/2 where it hides broken replies."""
    old = assume.before("haproxy", H2_HONEST_VERSION)
    if old is False:
        return
    for line in front.here("bind"):
        if _speaks_http2(line, assume):
            until = "" if old else f" (if this HAProxy is older than {H2_HONEST_VERSION})"
            severity = None if old else Severity.WARNING
            checked.add("HAP-H2-SILENT", line.place, f"{front.told}: `{line.told()}`{until}", severity=severity)


def _speaks_http2(line: Line, assume: Assumptions) -> bool:
    words = line.words
    if "alpn" in words[:-1]:
        return "h2" in words[words.index("alpn") + 1].split(",")
    if "proto" in words[:-1]:
        return words[words.index("proto") + 1] == "h2"
    # From 2.8 on it is offered over TLS without being asked for.
    return "ssl" in words and assume.before("haproxy", "2.8") is False


def hard_stop(sections: list[Section], assume: Assumptions, checked: Checked) -> None:
    """How long streams live on after a reload."""
    for section in sections:
        line = section.setting("hard-stop-after") if section.kind == "global" else None
        limit_s = seconds(line.words[-1], bare="ms") if line is not None else None
        if line is not None and limit_s is not None and limit_s < assume.stream_s:
            said = f"`{line.told()}`, and a stream may take {said_s(assume.stream_s)}"
            checked.add("HAP-HARD-STOP", line.place, said)


def _limit_s(line: Line) -> float | None:
    """A time; without a unit it is of milliseconds."""
    return seconds(line.words[2], bare="ms") if len(line.words) > 2 else None


def _instead(line: Line, text: str, checked: Checked) -> tuple[Edit, ...]:
    return edits.replace(checked.files[line.place.file], line.place, text)
