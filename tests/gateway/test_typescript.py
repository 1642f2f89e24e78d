"""The official TypeScript SDKs through the gateway: complete and equal, or one error of the SDK's own."""

import pytest

from midstream.faults.server import FaultServer
from tests.gateway.broken import FORMS, ROADS, Form, Road, Story, stories, upstream_gateway
from tests.typescript.running import Case, Mode, Result, run

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

# The slowest story has four attempts of a second and a half, and the SDK's own retries behind it.
DEADLINE_S = 40.0

MODES: dict[str, tuple[Mode, ...]] = {"sse": ("create", "stream"), "bedrock": ("bedrock-create", "bedrock-stream")}
ROAD = pytest.mark.parametrize("road", ROADS, ids=str)


def told(all_stories: list[Story], base_url: str, **options: object) -> list[tuple[Story, Result]]:
    """Every story in every way of calling, in one process of Node."""
    cases: dict[str, tuple[Story, Case]] = {}
    for story in all_stories:
        for mode in MODES[story.road.client]:
            id = f"{mode}-{story}"
            cases[id] = story, Case(id, base_url, mode, story.headers(mode), DEADLINE_S, **options)  # type: ignore[arg-type]
    results = run(case for _, case in cases.values())
    return [(story, results[id]) for id, (story, _) in cases.items()]


def complaints(results: list[tuple[Story, Result]]) -> list[str]:
    """One line for each call that did not keep the promise."""
    found = [(seen.id, story.complaint(seen)) for story, seen in results]
    return [f"{id}: {complaint}" for id, complaint in found if complaint]


@pytest.mark.parametrize("form", FORMS)
@ROAD
def test_every_fault_ends_complete_and_equal_or_in_one_error_of_the_sdk(road: Road, form: Form) -> None:
    with FaultServer() as faults, upstream_gateway(faults, road.upstream) as gateway:
        results = told(stories(road, [form]), gateway.base_url, max_retries=0)
    assert len(results) > 100 and complaints(results) == []


def test_the_sdks_own_retries_change_nothing_about_it() -> None:
    road = Road("sse", "sse")
    with FaultServer() as faults, upstream_gateway(faults, road.upstream) as gateway:
        results = told(stories(road), gateway.base_url)
    assert len(results) > 200 and complaints(results) == []


def test_a_client_that_signs_for_the_gateways_address_is_recovered_when_the_gateway_signs_itself() -> None:
    road = Road("bedrock", "bedrock")
    own = {"AWS_ACCESS_KEY_ID": "AKIAGATEWAYEXAMPLE00", "AWS_SECRET_ACCESS_KEY": "not-a-secret-either"}
    with FaultServer() as faults, upstream_gateway(faults, road.upstream, own) as gateway:
        results = told(stories(road, ["once"]), gateway.base_url, max_retries=0, signed=True)
        authorizations = [attempt.headers["authorization"] for attempt in faults.requests]
    assert complaints(results) == []
    # The client's signature is worth nothing there: it goes nowhere.
    assert authorizations and all("AKIAGATEWAYEXAMPLE00" in signature for signature in authorizations)


def test_the_bare_sdk_breaks_the_promise_so_this_check_can_fail() -> None:
    road = Road("sse", "sse")
    wanted = {"cut-clean", "cut-fin", "half-frame", "delta-after-stop", "silence"}
    broken = [story for story in stories(road, ["always"]) if story.kind.name in wanted]
    with FaultServer() as faults:
        cases = {
            str(story): Case(str(story), faults.url, "create", story.headers("create"), deadline_s=2.0, max_retries=0)
            for story in broken
        }
        results = run(cases.values())
    found = {story.kind.name: story.complaint(results[str(story)]) or "" for story in broken}
    assert found["cut-clean"].startswith("it ends silently")
    assert found["half-frame"].startswith("it ends silently")
    assert found["cut-fin"].startswith("the error is none of the SDK's own")
    assert found["delta-after-stop"].startswith("it is said to be complete")
    assert found["silence"] == "it hangs"
