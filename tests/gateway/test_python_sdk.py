"""The official Python SDK through the gateway: complete and equal, or one error of the SDK's own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from midstream.faults.catalogue import Wire
from midstream.faults.server import FaultServer
from tests.gateway.broken import FORMS, ROADS, Form, Road, Story, stories, upstream_gateway
from tests.gateway.python_sdk import BEDROCK, MESSAGES, called
from tests.sdk.calls import FOUR_WAYS, Way

pytestmark = [pytest.mark.sockets]

# The slowest story has four attempts of a second and a half.
DEADLINE_S = 30.0
# Most of what is told hangs for seconds; more at once only make each other late.
AT_ONCE = 16

STRAIGHT = Road("sse", "sse")
TURNS = tuple(road for road in ROADS if road != STRAIGHT)
# With another framing in between, what differs between the ways has been seen already on the straight road.
TWO_WAYS = (Way("create", False), Way("stream", True))

BaseUrl = Callable[[Wire], str]


@pytest.fixture(scope="module")
def base_url() -> Iterator[BaseUrl]:
    """Where the gateway is whose upstream plays the faults on this wire; started when it is first asked for."""
    started: dict[Wire, str] = {}
    with ExitStack() as stack:

        def of(upstream: Wire) -> str:
            if upstream not in started:
                faults = stack.enter_context(FaultServer())
                started[upstream] = stack.enter_context(upstream_gateway(faults, upstream)).base_url
            return started[upstream]

        yield of


def complaints(stories: Sequence[Story], base_url: str, ways: tuple[Way, ...]) -> list[str]:
    """One line for each call that did not keep the promise; as many as are told are on their way at once."""

    def complaint(story: Story, way: Way) -> str | None:
        maker = BEDROCK if story.road.client == "bedrock" else MESSAGES
        return story.complaint(called(way, base_url, story.headers(str(way)), deadline_s=DEADLINE_S, maker=maker))

    calls = [(story, way) for story in stories for way in ways]
    with ThreadPoolExecutor(min(len(calls), AT_ONCE)) as pool:
        found = pool.map(lambda call: complaint(*call), calls)
        return [f"{way} {story}: {said}" for (story, way), said in zip(calls, found, strict=True) if said]


@pytest.mark.parametrize("story", stories(STRAIGHT), ids=str)
def test_every_fault_ends_complete_and_equal_or_in_one_error_of_the_sdk(story: Story, base_url: BaseUrl) -> None:
    assert complaints([story], base_url("sse"), FOUR_WAYS) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("road", TURNS, ids=str)
def test_so_it_does_where_client_or_upstream_speak_bedrock(road: Road, form: Form, base_url: BaseUrl) -> None:
    told = stories(road, [form])
    assert len(told) > 50 and complaints(told, base_url(road.upstream), TWO_WAYS) == []


def test_the_bare_sdk_breaks_the_promise_so_this_check_can_fail() -> None:
    found = {}
    with FaultServer() as faults:
        for story in stories(STRAIGHT, ["always"]):
            if story.kind.name in {"cut-clean", "delta-after-stop", "broken-chunk", "silence"}:
                headers = story.headers("bare")
                seen = called(Way("create", False), faults.url, headers, deadline_s=5.0, timeout=1.0)
                found[story.kind.name] = story.complaint(seen) or ""
    assert found["cut-clean"].startswith("it ends silently")
    # What the SDK hands on here is no legal message, and whoever adds it up says so.
    assert "a delta for a block that is not open" in found["delta-after-stop"]
    assert found["broken-chunk"].startswith("the error is none of the SDK's own")
    assert found["silence"].startswith("the error is none of the SDK's own")
