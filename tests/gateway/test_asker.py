"""With whose credentials upstreams are asked."""

import pytest

from midstream.gateway.asker import Asker
from midstream.gateway.upstreams.port import Call
from midstream.gateway.upstreams.table import make

KEY = [(b"x-api-key", b"sk-ant-client")]
CALL = Call(
    path="/v1/messages", query="", headers=[], raw=b"{}", fields={}, wire="sse", streamed=True, model="claude-opus-4-8"
)
ANTHROPIC, BEDROCK = make("anthropic", {}, {}), make("bedrock:us-east-1", {}, {})


@pytest.mark.parametrize("own_too", [True, False])
def test_what_a_client_brought_goes_to_an_upstream_that_takes_it(own_too: bool) -> None:
    asker = Asker(b"owner", brought=KEY, own_too=own_too)
    assert asker.credentials_for(ANTHROPIC, CALL) == KEY
    assert asker.is_needed([ANTHROPIC], CALL)


def test_where_it_is_of_no_use_the_gateways_own_are_taken_on_this_machine_alone() -> None:
    assert Asker(b"owner", brought=KEY, own_too=True).credentials_for(BEDROCK, CALL) is None
    assert Asker(b"owner", brought=KEY, own_too=False).credentials_for(BEDROCK, CALL) == KEY
    assert not Asker(b"owner", brought=KEY, own_too=True).is_needed([BEDROCK], CALL)
    assert Asker(b"owner", brought=KEY, own_too=True).is_needed([BEDROCK, ANTHROPIC], CALL)


def test_a_client_with_a_token_of_the_gateways_brings_nothing() -> None:
    asker = Asker(b"owner", "ann")
    assert asker.credentials_for(ANTHROPIC, CALL) is None and not asker.is_needed([ANTHROPIC], CALL)


def test_credentials_are_not_printed() -> None:
    assert "sk-ant" not in repr(Asker(b"owner", brought=KEY))
