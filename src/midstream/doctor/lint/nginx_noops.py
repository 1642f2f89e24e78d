"""nginx: lines that people add for a stream, and that do nothing for it.

Rule: each is a note; who wants them for something else keeps them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midstream.doctor.lint.nginx import Proxying

_TIMES = {"NGX-NOOP-SEND-TIMEOUT": "proxy_send_timeout", "NGX-NOOP-CONNECT-TIMEOUT": "proxy_connect_timeout"}


def check_noops(at: "Proxying") -> None:
    """Every such line that is in force at a place."""
    for rule, name in _TIMES.items():
        if (setting := at.block.setting(name)) is not None:
            at.checked.add(rule, setting.place, f"{at.name}: `{setting.told()}`")
    if (size := at.block.setting("proxy_max_temp_file_size")) is not None and size.value.strip("kmg") == "0":
        at.checked.add("NGX-NOOP-TEMP-FILE", size.place, f"{at.name}: `{size.told()}`", at.without(size))
    for rule, name in {"NGX-NOOP-CACHE": "proxy_cache", "NGX-NOOP-GZIP": "gzip"}.items():
        _switched_off(at, rule, name)
    _headers(at)


def _switched_off(at: "Proxying", rule: str, name: str) -> None:
    """What is turned off, though nothing around had turned it on."""
    levels = [found for block in at.block.ancestors() if (found := block.here(name))]
    if not levels or levels[0][-1].value != "off":
        return
    if all(each.value == "off" for level in levels[1:] for each in level):
        # A part of a configuration does not know what is turned on around it.
        whole = any(block.name == "http" for block in at.block.ancestors())
        setting = levels[0][-1]
        at.checked.add(rule, setting.place, f"{at.name}: `{setting.told()}`", at.without(setting) if whole else ())


def _headers(at: "Proxying") -> None:
    sent, added = at.block.nearest("proxy_set_header"), at.block.nearest("add_header")
    for each in [*sent, *added]:
        if each.value.lower() == "x-accel-buffering":
            at.checked.add("NGX-NOOP-ACCEL", each.place, f"{at.name}: `{each.told()}`")
    upstream = at.upstream()
    kept = upstream is not None and bool(upstream.here("keepalive"))
    for each in sent:
        if each.value.lower() == "connection" and each.args[1:] == ("",) and not kept:
            at.checked.add("NGX-NOOP-CONNECTION", each.place, f'{at.name}: `proxy_set_header Connection ""`')
