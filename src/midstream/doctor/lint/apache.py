"""Apache: every section that proxies over HTTP, with what is in force there.

Rule: by itself Apache is right for streams; a finding is a line that somebody added.
"""

import re

from midstream.doctor.lint import edits
from midstream.doctor.lint.apache_tree import Directive, Section, parse
from midstream.doctor.lint.findings import Assumptions, Checked, Edit
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.units import said_s, seconds

_HTTP10 = "force-proxy-request-1.0"


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file and in what it includes. Raises `Unreadable`."""
    checked = Checked()
    root = parse(source, checked)
    proxying = [section for section in root.walk() if _passes(section)]
    for section in proxying:
        old_http(section, checked)
        timeouts(section, assume, checked)
        bodies(section, checked)
        filters(section, checked)
        flushing(section, checked)
    if proxying:
        graceful(root, assume, checked)
    else:
        checked.nothing(f"{source.name} proxies nothing over HTTP")
    return checked


def _passes(section: Section) -> list[Directive]:
    rules = [each for each in section.here("RewriteRule") if "P" in each.args[-1].strip("[]").split(",")]
    passes = [*section.here("ProxyPass"), *section.here("ProxyPassMatch"), *rules]
    return [each for each in passes if any(re.match(r"https?://|balancer://|unix:", arg) for arg in each.args)]


def old_http(section: Section, checked: Checked) -> None:
    """HTTP/1.0 towards the upstream."""
    for each in [*section.all("SetEnv"), *section.all("SetEnvIf"), *section.all("SetEnvIfNoCase")]:
        if any(word.partition("=")[0] == _HTTP10 for word in each.args):
            said = f"`{each.told()}` is in force in {section.name}"
            checked.add("APA-HTTP10", each.place, said, _without(each, checked))


def timeouts(section: Section, assume: Assumptions, checked: Checked) -> None:
    """The limit of silence: that of the worker, or of the proxy, or of the server."""
    setting = section.setting("ProxyTimeout") or section.setting("Timeout")
    for each in _passes(section):
        own = next((arg for arg in each.args if arg.lower().startswith("timeout=")), None)
        limit_s = seconds(own.partition("=")[2]) if own else None
        if limit_s is not None and limit_s < assume.silence_s:
            said = f"`{own}` in {section.name}, with a ping each {said_s(assume.ping_s)}"
            checked.add("APA-TIMEOUT", each.place, said)
        if own:
            return
    limit_s = seconds(setting.args[0]) if setting is not None and setting.args else None
    if setting is not None and limit_s is not None and limit_s < assume.silence_s:
        said = f"`{setting.told()}` is in force in {section.name}, with a ping each {said_s(assume.ping_s)}"
        fix = _instead(setting, "ProxyTimeout 120", checked) if setting.name.lower() == "proxytimeout" else ()
        checked.add("APA-TIMEOUT", setting.place, said, fix)


def bodies(section: Section, checked: Checked) -> None:
    """Large prompts, and errors that are replaced."""
    limit = section.setting("LimitRequestBody")
    if limit is not None:
        checked.add("APA-NOOP-BODY", limit.place, f"`{limit.told()}` is in force in {section.name}")
    override = section.setting("ProxyErrorOverride")
    if override is not None and override.args[:1] and override.args[0].lower() == "on":
        fix = _instead(override, "ProxyErrorOverride Off", checked)
        checked.add("APA-ERROR-OVERRIDE", override.place, f"`{override.told()}` is in force in {section.name}", fix)


def filters(section: Section, checked: Checked) -> None:
    """Filters of the reply."""
    for each in section.all("SetOutputFilter"):
        names = ";".join(each.args).upper().split(";")
        if "RATE_LIMIT" in names:
            checked.add("APA-RATE-LIMIT", each.place, f"`{each.told()}` is in force in {section.name}")
        if "BUFFER" in names:
            checked.add("APA-NOOP-FLUSH", each.place, f"`{each.told()}` is in force in {section.name}")


def flushing(section: Section, checked: Checked) -> None:
    """Lines that people add for events, and that do nothing for them."""
    for each in _passes(section):
        if any(arg.lower().startswith(("flushpackets=", "flushwait=")) for arg in each.args):
            checked.add("APA-NOOP-FLUSH", each.place, f"`{each.told()}`")
    if (size := section.setting("ProxyIOBufferSize")) is not None:
        checked.add(
            "APA-NOOP-FLUSH", size.place, f"`{size.told()}` is in force in {section.name}", _without(size, checked)
        )
    for each in [*section.all("SetEnv"), *section.all("SetEnvIf"), *section.all("SetEnvIfNoCase")]:
        if any(arg.partition("=")[0] == "no-gzip" for arg in each.args):
            checked.add("APA-NOOP-GZIP", each.place, f"`{each.told()}` is in force in {section.name}")


def graceful(root: Section, assume: Assumptions, checked: Checked) -> None:
    """How long streams live on after a graceful stop."""
    setting = root.setting("GracefulShutdownTimeout")
    limit_s = seconds(setting.args[0]) if setting is not None and setting.args else None
    if setting is not None and limit_s and limit_s < assume.stream_s:
        said = f"`{setting.told()}`, and a stream may take {said_s(assume.stream_s)}"
        checked.add("APA-GRACEFUL", setting.place, said)


def _instead(each: Directive, text: str, checked: Checked) -> tuple[Edit, ...]:
    return edits.replace(checked.files[each.place.file], each.place, text) if _on_one_line(each, checked) else ()


def _without(each: Directive, checked: Checked) -> tuple[Edit, ...]:
    return (Edit("delete", each.place),) if _on_one_line(each, checked) else ()


def _on_one_line(each: Directive, checked: Checked) -> bool:
    return not checked.files[each.place.file][each.place.line - 1].endswith("\\")
