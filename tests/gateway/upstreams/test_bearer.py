"""The client's own credentials."""

import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.bearer import bearer_of, brings_bearer
from midstream.gateway.upstreams.port import NoCredentials


@pytest.mark.parametrize(
    ("credentials", "token"),
    [
        ([], None),
        ([(b"authorization", b"Bearer  abc ")], "abc"),
        ([(b"authorization", b"bearer abc"), (b"x-api-key", b"other")], "abc"),
        ([(b"x-api-key", b"abc")], "abc"),
        ([(b"api-key", b"abc")], "abc"),
        ([(b"authorization", b"Basic abc")], None),
        ([(b"authorization", b"Basic abc"), (b"x-api-key", b"def")], "def"),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"authorization", b"AWS4-HMAC-SHA256 Credential=x")], None),
    ],
)
def test_a_token_is_found_where_clients_put_it(credentials: Headers, token: str | None) -> None:
    assert bearer_of(credentials, "Bedrock") == token
    assert brings_bearer(credentials) is (token is not None)


@pytest.mark.parametrize("name", [b"x-api-key", b"api-key", b"authorization"])
def test_a_key_of_anthropics_is_not_for_another_cloud_and_not_repeated(name: bytes) -> None:
    value = b"sk-ant-secret" if name != b"authorization" else b"Bearer sk-ant-secret"
    with pytest.raises(NoCredentials) as raised:
        bearer_of([(name, value)], "Bedrock")
    assert not brings_bearer([(name, value)])
    assert "secret" not in str(raised.value)
