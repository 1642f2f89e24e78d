"""nginx: every place that proxies HTTP, with what is in force there.

Rule: a place is judged by what it inherits, too; a file that is a part of something says what it cannot know.
"""

import re
from collections.abc import Callable, Iterator

from midstream.doctor.lint import edits
from midstream.doctor.lint.findings import BODY_BYTES, LONG_S, Assumptions, Checked, Edit, Place
from midstream.doctor.lint.nginx_noops import check_noops
from midstream.doctor.lint.nginx_tree import Directive, Tree, parse
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.units import said_s, seconds, size_bytes

# From this version on, an upstream is asked in HTTP/1.1, and connections to it are kept.
HTTP11_VERSION = "1.29.7"

# Somebody who works on what came for so long is rare; 60 s is the default.
SEND_TIMEOUT_S_MIN = 30.0


class Proxying:
    """One block with a ``proxy_pass`` over HTTP, and what is asked of it."""

    def __init__(self, block: Directive, tree: Tree, assume: Assumptions, checked: Checked) -> None:
        self.block, self.tree, self.assume, self.checked = block, tree, assume, checked
        self.passes = block.here("proxy_pass")[0]

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.block.told() if self.block.name else "this file"

    @property
    def buffered(self) -> bool:
        """Whether nginx buffers, as far as its own configuration says."""
        setting = self.block.setting("proxy_buffering")
        if setting is not None and setting.value == "off":
            return False
        return not (self.assume.unbuffered and self.ignored("X-Accel-Buffering") is None)

    def ignored(self, header: str) -> Directive | None:
        """The directive by which a header of the upstream is ignored."""
        setting = self.block.setting("proxy_ignore_headers")
        found = setting is not None and header.lower() in (arg.lower() for arg in setting.args)
        return setting if found else None

    def lines_of(self, place: Place) -> list[str]:
        """The lines of the file that a place is in."""
        return self.checked.files[place.file]

    def put(self, text: str) -> tuple[Edit, ...]:
        """A new line before ``proxy_pass``, where that stands alone in its line."""
        place = self.passes.place
        return edits.insert_before(self.lines_of(place), place, text) if self._alone(self.passes) else ()

    def instead(self, directive: Directive, text: str) -> tuple[Edit, ...]:
        """Another line in place of a directive, where that stands alone in its line."""
        lines = self.lines_of(directive.place)
        return edits.replace(lines, directive.place, text) if self._alone(directive) else ()

    def without(self, directive: Directive) -> tuple[Edit, ...]:
        """No such line, where the directive stands alone in it."""
        return (Edit("delete", directive.place),) if self._alone(directive) else ()

    def set(self, setting: Directive | None, text: str) -> tuple[Edit, ...]:
        """The setting changed if it stands in this block, else put into it."""
        return self.instead(setting, text) if setting is not None and setting.parent is self.block else self.put(text)

    def _alone(self, directive: Directive) -> bool:
        line = self.lines_of(directive.place)[directive.place.line - 1]
        return re.fullmatch(rf"\s*{re.escape(directive.name)}\s[^;{{}}]*;\s*(#.*)?", line) is not None

    def upstream(self) -> Directive | None:
        """The ``upstream`` block that it leads to."""
        host = re.sub(r"^https?://", "", self.passes.value).partition("/")[0]
        named = (each for each in self.tree.walk() if each.name == "upstream" and each.value == host)
        return next(named, None)


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file and in what it includes. Raises `Unreadable`."""
    checked = Checked()
    tree = parse(source, checked)
    places = list(proxying(tree, assume, checked))
    for place in places:
        for judge in JUDGES:
            judge(place)
        check_noops(place)
    if places:
        check_shutdown(tree, assume, checked)
        if not any(each.name == "http" for each in tree.walk()):
            checked.notes.append(f"{source.name} is a part of a configuration: what http {{}} sets is not known here")
    else:
        checked.nothing(f"{source.name} proxies nothing over HTTP")
    return checked


def proxying(tree: Tree, assume: Assumptions, checked: Checked) -> Iterator[Proxying]:
    """Every block that passes requests on over HTTP."""
    for block in tree.walk():
        passes = block.here("proxy_pass")
        if passes and re.match(r"https?:|\$", passes[0].value):
            yield Proxying(block, tree, assume, checked)


def http_version(at: Proxying) -> None:
    """HTTP/1.0 towards the upstream."""
    setting = at.block.setting("proxy_http_version")
    if setting is not None and setting.value == "1.0":
        said, place = f"{at.name} says `proxy_http_version 1.0`", setting.place
    elif setting is None and at.assume.before("nginx", HTTP11_VERSION) is not False:
        known = "nginx" in at.assume.versions
        until = "" if known else f", which is the default before {HTTP11_VERSION}"
        said, place = f"{at.name} has no `proxy_http_version 1.1`: the upstream is asked in 1.0{until}", at.passes.place
    else:
        return
    at.checked.add("NGX-HTTP10", place, said, at.set(setting, "proxy_http_version 1.1;"))


def buffering(at: Proxying) -> None:
    """Buffering, and what makes it worse."""
    if not at.buffered:
        return
    setting = at.block.setting("proxy_buffering")
    place = setting.place if setting is not None else at.passes.place
    said = f"`{setting.told()}` is in force" if setting is not None else "buffering is on by default"
    off = at.set(setting, "proxy_buffering off;")
    at.checked.add("NGX-BUFFERING", place, f"{at.name}: {said}", off)
    if (ignoring := at.ignored("X-Accel-Buffering")) is not None:
        at.checked.add("NGX-ACCEL-IGNORED", ignoring.place, f"{at.name}: `{ignoring.told()}`", off)
    gzip, types = at.block.setting("gzip"), at.block.setting("gzip_types")
    if gzip is not None and gzip.value == "on" and types is not None and {"*", "text/event-stream"} & {*types.args}:
        at.checked.add("NGX-GZIP", types.place, f"{at.name}: `{types.told()}` with gzip and buffering on", off)


def unframed(at: Proxying) -> None:
    """Replies without framing."""
    setting = at.block.setting("chunked_transfer_encoding")
    if setting is not None and setting.value == "off":
        at.checked.add("NGX-CHUNKED-OFF", setting.place, f"{at.name}: `{setting.told()}`", at.without(setting))


def read_timeout(at: Proxying) -> None:
    """The limit of silence."""
    setting = at.block.setting("proxy_read_timeout")
    limit_s = seconds(setting.value) if setting is not None else None
    if setting is None or limit_s is None:
        return
    said = f"{at.name}: `{setting.told()}`, with a ping each {said_s(at.assume.ping_s)}"
    if limit_s < at.assume.silence_s:
        fix = at.instead(setting, "proxy_read_timeout 120s;")
        at.checked.add("NGX-READ-TIMEOUT-SHORT", setting.place, said, fix)
    elif limit_s >= max(LONG_S, at.assume.silence_s * 2):
        # Shorter is better only where there are pings, which nobody can see from here.
        at.checked.add("NGX-READ-TIMEOUT-LONG", setting.place, said)


def retries(at: Proxying) -> None:
    """What is sent twice."""
    setting = at.block.setting("proxy_next_upstream")
    if setting is not None and "non_idempotent" in setting.args:
        others = " ".join(arg for arg in setting.args if arg != "non_idempotent") or "off"
        fix = at.instead(setting, f"proxy_next_upstream {others};")
        at.checked.add("NGX-RETRY-POST", setting.place, f"{at.name}: `{setting.told()}`", fix)


def body_size(at: Proxying) -> None:
    """Large prompts."""
    setting = at.block.setting("client_max_body_size")
    limit = size_bytes(setting.value) if setting is not None else 1 << 20
    # 0 is without limit.
    if limit and limit < BODY_BYTES:
        said = f"`{setting.told()}`" if setting is not None else "no `client_max_body_size`, so the limit is 1 MB"
        place = setting.place if setting is not None else at.passes.place
        at.checked.add("NGX-BODY-SIZE", place, f"{at.name}: {said}", at.set(setting, "client_max_body_size 64m;"))


def client(at: Proxying) -> None:
    """Clients that leave, or pause, or are held back."""
    abort = at.block.setting("proxy_ignore_client_abort")
    if abort is not None and abort.value == "on":
        fix = at.instead(abort, "proxy_ignore_client_abort off;")
        at.checked.add("NGX-CLIENT-ABORT", abort.place, f"{at.name}: `{abort.told()}`", fix)
    sending = at.block.setting("send_timeout")
    limit_s = seconds(sending.value) if sending is not None else None
    if sending is not None and limit_s is not None and limit_s < SEND_TIMEOUT_S_MIN:
        fix = at.instead(sending, "send_timeout 60s;")
        at.checked.add("NGX-SEND-TIMEOUT", sending.place, f"{at.name}: `{sending.told()}`", fix)
    # What is not buffered is not held back either.
    for rate in filter(None, map(at.block.setting, ("limit_rate", "proxy_limit_rate") if at.buffered else ())):
        if size_bytes(rate.value) != 0:
            at.checked.add("NGX-LIMIT-RATE", rate.place, f"{at.name}: `{rate.told()}`")


def headers(at: Proxying) -> None:
    """Headers that are set further out, and lost."""
    levels = [found for block in at.block.ancestors() if (found := block.here("proxy_set_header"))]
    if len(levels) < 2:
        return
    here = {each.value.lower() for each in levels[0]}
    lost = sorted({each.value for level in levels[1:] for each in level if each.value.lower() not in here})
    if lost:
        said = f"{at.name} sets headers of its own, so {', '.join(lost[:5])} of the outer level are not sent"
        at.checked.add("NGX-HEADERS-LOST", levels[0][0].place, said)


def kept_connections(at: Proxying) -> None:
    """Connections to the upstream that are kept, or should be."""
    upstream = at.upstream()
    keepalive = upstream.here("keepalive") if upstream is not None else []
    if not keepalive or keepalive[0].value == "0":
        return
    by_default = at.assume.before("nginx", HTTP11_VERSION) is False
    emptied = any(each.value.lower() == "connection" for each in at.block.nearest("proxy_set_header"))
    if emptied or by_default:
        said = f"{at.name} uses connections that `{keepalive[0].told()}` keeps"
        at.checked.add("NGX-KEEPALIVE-IDLE", keepalive[0].place, said)
    else:
        # A first header of its own would drop those that it inherits.
        safe = bool(at.block.here("proxy_set_header")) or not at.block.nearest("proxy_set_header")
        fix = at.put('proxy_set_header Connection "";') if safe else ()
        said = f"{at.name} sends `Connection: close`, though its upstream has `{keepalive[0].told()}`"
        at.checked.add("NGX-KEEPALIVE-CLOSED", at.passes.place, said, fix)


def request_buffering(at: Proxying) -> None:
    """Prompts that wait until they are whole."""
    setting = at.block.setting("proxy_request_buffering")
    if setting is None or setting.value != "off":
        place = setting.place if setting is not None else at.passes.place
        fix = at.set(setting, "proxy_request_buffering off;")
        at.checked.add("NGX-REQUEST-BUFFERING", place, f"{at.name} buffers the request", fix)


def check_shutdown(tree: Tree, assume: Assumptions, checked: Checked) -> None:
    """How long streams live on after a reload."""
    for each in tree.root.here("worker_shutdown_timeout"):
        limit_s = seconds(each.value)
        if limit_s is not None and limit_s < assume.stream_s:
            said = f"`{each.told()}`, and a stream may take {said_s(assume.stream_s)}"
            checked.add("NGX-SHUTDOWN", each.place, said)


JUDGES: tuple[Callable[[Proxying], None], ...] = (
    http_version,
    buffering,
    unframed,
    read_timeout,
    retries,
    body_size,
    client,
    headers,
    kept_connections,
    request_buffering,
)
