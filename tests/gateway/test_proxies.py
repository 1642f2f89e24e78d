"""Behind real proxies, configured right and by default: complete, or an error that the SDK raises.

The raw socket says besides what the framing says; the last part shows that pings carry a stream past a proxy's limit.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import anthropic
import pytest

from midstream.faults.server import FaultServer
from tests.faults.raw import Answer, ask, events_of
from tests.gateway.broken import Road, Story, stories, upstream_gateway
from tests.gateway.gateways import FAST, running
from tests.gateway.python_sdk import MESSAGES, called
from tests.proxies.configs import PROXIES, STYLES, Style
from tests.proxies.programs import version
from tests.proxies.running import proxy
from tests.sdk.calls import ASKED, Way, at

pytestmark = [pytest.mark.sockets]

# The slowest story has four attempts of a second and a half; Envoy takes a second longer to end a broken reply.
DEADLINE_S = 30.0

# Most of what is told hangs for seconds; more at once only make each other late.
AT_ONCE = 16

STRAIGHT = Road("sse", "sse")
BEHIND = pytest.mark.parametrize(("name", "style"), [(name, style) for name in PROXIES for style in STYLES])

# One of each sort, but for silence, which takes seconds: an end that looks right, one that does not, errors, nothing.
SORTS = frozenset("ok cut-clean cut-rst overloaded_error invalid_request_error bad-json http-529 closed-early".split())

CREATE = Way("create", False)

BaseUrl = Callable[[str, Style], str]


@pytest.fixture(scope="module")
def behind() -> Iterator[BaseUrl]:
    """Where a proxy is that stands before a gateway before faults; the two behind are the same for all proxies."""
    started: dict[tuple[str, Style], str] = {}
    with ExitStack() as stack:
        faults = stack.enter_context(FaultServer())
        gateway = stack.enter_context(upstream_gateway(faults, "sse"))

        def of(name: str, style: Style) -> str:
            if (name, style) not in started:
                started[name, style] = stack.enter_context(proxy(name, style, gateway.port))
            return started[name, style]

        yield of


def complaints(all_stories: list[Story], base_url: str, caller: str) -> list[str]:
    """One line for each story that did not end as promised, seen by the SDK and by a raw socket."""

    def seen_by_the_sdk(story: Story) -> str | None:
        return story.complaint(called(CREATE, base_url, story.headers(f"{caller}-sdk"), deadline_s=DEADLINE_S))

    def seen_by_a_socket(story: Story) -> str | None:
        return on_the_wire(story, base_url, caller)

    calls = [(story, seen_by) for story in all_stories for seen_by in (seen_by_the_sdk, seen_by_a_socket)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda call: call[1](call[0]), calls)
        return [f"{story}: {said}" for (story, _), said in zip(calls, found, strict=True) if said]


def on_the_wire(story: Story, base_url: str, caller: str) -> str | None:
    """What is wrong with the bytes, whatever an SDK makes of them."""
    headers = {name.replace("-", "_"): value for name, value in story.headers(f"{caller}-raw").items()}
    answer = ask(base_url, timeout_s=DEADLINE_S, total_s=DEADLINE_S, x_api_key="sk-ant-test", **headers)
    if answer.end == "timeout":
        return "on the wire, it has no end"
    if answer.status != 200:
        return None if answer.complete else f"on the wire, the error is not whole: {answer.raw[:200]!r}"
    types = [event.get("type") for event in events_of(answer.body)]
    if types[-1:] == ["message_stop"]:
        return None if answer.complete else "on the wire, a whole message comes in a broken body"
    return None if types[-1:] == ["error"] else f"on the wire, it ends silently after {types[-3:]}"


@BEHIND
def test_behind_a_proxy_each_sort_of_fault_ends_complete_or_in_an_error(
    name: str, style: Style, behind: BaseUrl
) -> None:
    some = [story for story in stories(STRAIGHT) if story.kind.name in SORTS]
    assert len(some) == 2 * len(SORTS)
    assert complaints(some, behind(name, style), f"{name}-{style}") == [], f"{name} {version(name)}"


@pytest.mark.slow
@BEHIND
def test_behind_a_proxy_every_fault_ends_complete_or_in_an_error(name: str, style: Style, behind: BaseUrl) -> None:
    found = complaints(stories(STRAIGHT), behind(name, style), f"{name}-{style}-every")
    assert found == [], f"{name} {version(name)}"


FRAMING_KEPT: Mapping[tuple[str, Style], bool] = {
    # It asks in HTTP/1.0, which has no framing to break, and frames what it got as whole.
    ("nginx", "default"): False,
    ("nginx", "right"): True,
    ("haproxy", "default"): True,
    ("haproxy", "right"): True,
    # Before 2.8 it ends a broken reply as if it were whole, however it is configured.
    ("caddy", "default"): False,
    ("caddy", "right"): False,
    ("envoy", "default"): True,
    ("envoy", "right"): True,
}
"""Which proxies of Debian 12, and Envoy 1.40, hand on that a body is broken. The error event tells it behind all."""


@BEHIND
def test_a_failed_stream_ends_with_its_error_and_in_broken_framing_where_the_proxy_keeps_it(
    name: str, style: Style, behind: BaseUrl
) -> None:
    answer = failed_on_the_wire(behind(name, style), f"{name}-{style}-framing")
    assert [event["type"] for event in events_of(answer.body)][-1] == "error"
    if old(name):
        assert answer.complete is not FRAMING_KEPT[name, style], f"{name} {version(name)}"


@BEHIND
def test_what_a_proxy_makes_of_a_broken_upstream_is_known(name: str, style: Style) -> None:
    if not old(name):
        pytest.skip(f"{name} {version(name)} is none of the versions that were measured")
    with FaultServer() as faults, proxy(name, style, faults.port) as base_url:
        answer = ask(base_url, x_midstream_fault="always cut-fin")
    assert answer.end == "fin" and answer.complete is not FRAMING_KEPT[name, style]


def old(name: str) -> bool:
    """Whether this is a version that `FRAMING_KEPT` is for."""
    known = {"nginx": "1.22.", "haproxy": "2.6.", "caddy": "2.6.", "envoy": "1.40."}
    return version(name).startswith(known[name])


def failed_on_the_wire(base_url: str, key: str) -> Answer:
    """A stream that has shown its beginning, and fails for good."""
    script = "overloaded_error@50%; always 529"
    return ask(base_url, x_api_key="sk-ant-test", x_midstream_fault=script, x_midstream_key=key)


# --- the gateway stops ---


@pytest.mark.parametrize(("name", "style"), [place for place, kept in FRAMING_KEPT.items() if not kept])
def test_a_gateway_that_is_stopped_leaves_no_stream_that_looks_whole(name: str, style: Style) -> None:
    env = {**FAST, "MIDSTREAM_SILENCE_S": "60", "MIDSTREAM_PROGRESS_S": "60"}
    with (
        FaultServer("always silence") as faults,
        running(faults.url, "--drain-s", "0.1", env=env) as gateway,
        proxy(name, style, gateway.port) as base_url,
        at(base_url, MESSAGES, max_retries=0, timeout=DEADLINE_S)(is_async=False) as client,
        client.messages.create(**ASKED, stream=True) as stream,
    ):
        assert next(stream).type == "message_start"
        gateway.terminate(DEADLINE_S)
        with pytest.raises(anthropic.AnthropicError):
            list(stream)


# --- pings ---

# The upstream is silent for twice the limit of the proxy; then the gateway gives it up and asks again.
READ_TIMEOUT_S, SILENCE_S = 3, 6
PATIENT = {
    **FAST,
    "MIDSTREAM_SILENCE_S": str(SILENCE_S),
    "MIDSTREAM_FIRST_EVENT_S": str(SILENCE_S),
    "MIDSTREAM_PROGRESS_S": "60",
    "MIDSTREAM_PROGRESS_SLOW_S": "60",
}
PINGING = ("--ping-s", "1", "--early-s", "1")
MUTE = ("--ping-s", "1000", "--early-s", "1000")
SILENT = ("silence", "silent-early")
"""In the middle of the stream, and before its headers."""


def patient(faults: FaultServer, arguments: tuple[str, ...], name: str, style: Style) -> dict[str, str | None]:
    """For both silences, what was wrong with what came through the proxy."""
    silent = [story for story in stories(STRAIGHT, ["once"]) if story.kind.name in SILENT]
    with (
        running(faults.url, *arguments, env=PATIENT) as gateway,
        proxy(name, style, gateway.port, READ_TIMEOUT_S) as base_url,
        ThreadPoolExecutor(len(silent)) as pool,
    ):
        caller = f"{name}-{style}-{arguments[1]}"
        found = pool.map(lambda story: called(CREATE, base_url, story.headers(caller), deadline_s=DEADLINE_S), silent)
        return {story.kind.name: story.complaint(seen) for story, seen in zip(silent, found, strict=True)}


@pytest.mark.slow
@BEHIND
def test_pings_carry_a_silent_stream_through_the_limit_of_a_proxy(name: str, style: Style) -> None:
    with FaultServer() as faults:
        assert patient(faults, PINGING, name, style) == {"silence": None, "silent-early": None}


@pytest.mark.slow
@BEHIND
def test_without_pings_the_proxy_cuts_it_so_this_check_can_fail(name: str, style: Style) -> None:
    with FaultServer() as faults:
        found = patient(faults, MUTE, name, style)
    assert sorted(found) == sorted(SILENT) and all(found.values()), found
