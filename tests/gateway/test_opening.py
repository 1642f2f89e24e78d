"""The first record of a stream."""

import pytest

from midstream.gateway import opening
from midstream.gateway.upstreams.port import Call

SECRET = b"sk-ant-very-secret"


def call(**changes: object) -> Call:
    plain: dict[str, object] = {
        "path": "/v1/messages", "query": "beta=true", "raw": b'{"model":"m","stream":true}',
        "headers": [(b"anthropic-version", b"2026-10-21")], "fields": {"model": "m", "stream": True}, "wire": "sse",
        "streamed": True, "model": "m",
    }  # fmt: skip
    return Call(**{**plain, **changes})  # type: ignore[arg-type]


def test_another_process_makes_the_same_call_of_it() -> None:
    found = opening.read(opening.write(call(), signed=False, own_credentials=True, client="who"))
    assert found is not None
    assert (found.own_credentials, found.client, found.signed) == (True, "who", False)
    assert opening.call_of(found) == call()


SECRETIVE = (
    b"authorization x-api-key api-key x-amz-security-token cookie cf-access-client-secret x-auth x-corp-token"
    b" ocp-apim-subscription-key x_apikey"
).split()


@pytest.mark.parametrize("name", SECRETIVE)
def test_nothing_in_it_lets_anybody_in(name: bytes) -> None:
    data = opening.write(call(headers=[(name, SECRET), (b"a", b"b")]), signed=False, own_credentials=False)
    assert SECRET not in data
    found = opening.read(data)
    assert found is not None and found.headers == [(b"a", b"b")]


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x80", opening.write(call(), signed=False, own_credentials=True)[:-3]]
)
def test_what_cannot_be_read_is_nothing(data: bytes) -> None:
    assert opening.read(data) is None


@pytest.mark.parametrize("raw", [b"", b"[]", b"{"])
def test_a_body_that_is_no_object_makes_no_call(raw: bytes) -> None:
    found = opening.read(opening.write(call(raw=raw), signed=False, own_credentials=True))
    assert found is not None and opening.call_of(found) is None
