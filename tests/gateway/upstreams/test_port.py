"""What is common to all upstreams."""

from dataclasses import replace

import pytest

from midstream.gateway.upstreams.port import (
    BadCall,
    CannotAsk,
    NoCredentials,
    NotOffered,
    signed_by_client,
)
from midstream.recovery.failure import ERROR_TYPES
from tests.gateway.upstreams.fakes import bedrock_call, messages_call


@pytest.mark.parametrize("kind", [CannotAsk, BadCall, NotOffered, NoCredentials])
def test_what_cannot_be_asked_has_a_status_and_the_type_that_stands_for_it(kind: type[CannotAsk]) -> None:
    assert ERROR_TYPES[kind.error_type][1] == kind.status


def test_a_signature_is_seen_and_a_bearer_token_is_none() -> None:
    assert signed_by_client(bedrock_call())
    assert not signed_by_client(bedrock_call(api_key="token"))
    assert not signed_by_client(messages_call())
    assert not signed_by_client(replace(messages_call(), headers=[]))
