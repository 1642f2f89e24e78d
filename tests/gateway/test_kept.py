"""The request of a stream: the same when it is unpacked, and held once while it is packed."""

import gc
import json
from typing import Any

import pytest

from midstream.gateway.kept import Kept, betas_of
from midstream.gateway.upstreams.port import Call
from midstream.recovery.request import Request

FIELDS = {"model": "claude-x", "stream": True, "messages": [{"role": "user", "content": "Grüße"}], "tools": []}
RAW = json.dumps(FIELDS, indent=1).encode()
BEDROCK: dict[str, Any] = {"messages": [], "anthropic_version": "bedrock-2023-05-31"}


def call(**changes: Any) -> Call:
    headers = [(b"anthropic-beta", b"a, b"), (b"x-one", b"\xff"), (b"x-one", b"2")]
    given = {
        "path": "/v1/messages", "query": "beta=true", "headers": headers, "raw": RAW, "fields": FIELDS, "wire": "sse",
        "streamed": True, "model": "claude-x", "method": "POST", "host": "localhost:8100",
    }  # fmt: skip
    return Call(**{**given, **changes})


CALLS = [
    call(),
    call(headers=[], query="", host=""),
    call(wire="eventstream", model="anthropic.claude-x", raw=json.dumps(BEDROCK).encode(), fields=BEDROCK),
    call(raw=b"{}", fields={}, model=""),
]


@pytest.mark.parametrize("given", CALLS)
def test_a_call_that_was_packed_is_the_same_as_often_as_wanted(given: Call) -> None:
    kept = Kept(given, signed=False)
    assert kept.call is given
    for _ in range(2):
        kept.pack()
        unpacked = kept.call
        assert unpacked == given and unpacked is not given and unpacked.raw is given.raw


@pytest.mark.parametrize("given", CALLS)
def test_recovery_reads_the_same_whether_it_was_packed_or_not(given: Call) -> None:
    kept = Kept(given, signed=True)
    before = (kept.body, kept.model, kept.betas, kept.signed_by_caller, kept.size_bytes)
    kept.pack()
    assert (kept.body, kept.model, kept.betas, kept.signed_by_caller, kept.size_bytes) == before
    assert (kept.model, kept.size_bytes) == (given.model, len(given.raw or b""))


def test_what_is_packed_holds_no_more_than_bytes() -> None:
    kept = Kept(call(), signed=False)
    kept.pack()
    held = [type(each) for each in gc.get_referents(kept) if type(each) is not type]
    assert set(held) <= {bytes, frozenset, bool, type(None)}


def test_one_body_is_parsed_once_for_one_plan() -> None:
    kept = Kept(call(), signed=False)
    kept.pack()
    assert kept.body is kept.body is kept.call.fields


BETAS = [
    (call(), {"a", "b"}),
    (call(headers=[]), set()),
    (call(headers=[(b"anthropic-beta", b"a,,a"), (b"anthropic-beta", b"c")]), {"a", "c"}),
    (call(fields={"anthropic_beta": ["x"]}), {"a", "b"}),
    (call(headers=[], wire="eventstream", fields={"anthropic_beta": ["x", 3, ""]}), {"x"}),
    (call(headers=[], wire="eventstream", fields={"anthropic_beta": "x"}), set()),
]


@pytest.mark.parametrize(("given", "betas"), BETAS)
def test_betas_stand_in_a_header_or_in_the_body_of_a_bedrock_request(given: Call, betas: set[str]) -> None:
    assert betas_of(given) == betas


def test_requests_without_betas_share_one_set() -> None:
    assert Kept(call(headers=[]), signed=False).betas is Request({}).betas
