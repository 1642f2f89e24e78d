"""Google's tokens, from a token endpoint on the loopback interface."""

import asyncio
import json
import math
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from midstream.gateway.upstreams.google_tokens import Default, GoogleAuth
from midstream.gateway.upstreams.port import NoCredentials

pytestmark = [
    pytest.mark.sockets,
    # google-auth tells of what end-user credentials cost.
    pytest.mark.filterwarnings("ignore:Your application has authenticated using end user credentials"),
]


class Endpoint:
    """Where tokens are had."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.expires_in = 3600
        self.status = 200
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.asked.append(self.rfile.read(int(self.headers["content-length"])).decode())
                answer = {"access_token": f"ya29.{len(endpoint.asked)}", "expires_in": endpoint.expires_in}
                body = json.dumps(answer if endpoint.status == 200 else {"error": "invalid_grant"}).encode()
                self.send_response(endpoint.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    there = Endpoint()
    thread = threading.Thread(target=there.server.serve_forever, args=(0.01,))
    thread.start()
    file = tmp_path / "credentials.json"
    known = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    file.write_text(json.dumps({**known, "token_uri": there.url, "quota_project_id": "p"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    # Of end-user credentials google-auth takes the endpoint from its own constant.
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", there.url)
    yield there
    there.server.shutdown()
    thread.join()
    there.server.server_close()


def test_a_token_is_fetched_once_for_many_and_kept(endpoint: Endpoint) -> None:
    async def many() -> list[object]:
        auth = GoogleAuth("Vertex AI")
        together = await asyncio.gather(*(auth.headers(None) for _ in range(20)))
        return [*together, await auth.headers(None)]

    assert asyncio.run(many()) == [[(b"authorization", b"Bearer ya29.1")]] * 21
    assert len(endpoint.asked) == 1
    assert "refresh_token=r" in endpoint.asked[0]


def test_a_token_that_runs_out_is_fetched_again(endpoint: Endpoint) -> None:
    endpoint.expires_in = -10

    async def twice() -> list[object]:
        auth = GoogleAuth("Vertex AI")
        return [await auth.headers(None), await auth.headers(None)]

    assert asyncio.run(twice()) == [[(b"authorization", b"Bearer ya29.1")], [(b"authorization", b"Bearer ya29.2")]]


def test_a_refusal_is_one_sentence_without_a_secret(endpoint: Endpoint) -> None:
    endpoint.status = 400
    with pytest.raises(NoCredentials, match=r"^google-auth failed: RefreshError\.$"):
        asyncio.run(GoogleAuth("Vertex AI").headers(None))


def test_no_credentials_are_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HOME", str(tmp_path)), ("CLOUDSDK_CONFIG", str(tmp_path)), ("NO_GCE_CHECK", "true")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(NoCredentials, match="No Google credentials were found: GOOGLE_APPLICATION_CREDENTIALS, gcloud"):
        asyncio.run(GoogleAuth("Vertex AI").headers(None))


def test_what_the_client_brings_goes_on_and_nothing_is_fetched(endpoint: Endpoint) -> None:
    auth = GoogleAuth("Vertex AI")
    assert asyncio.run(auth.headers([(b"x-api-key", b"ya29.theirs")])) == [(b"authorization", b"Bearer ya29.theirs")]
    with pytest.raises(NoCredentials, match="brings no token for Vertex AI"):
        asyncio.run(auth.headers([]))
    assert endpoint.asked == []


class Credentials:
    """What `google.auth.default` may bring."""

    def __init__(self, token: object, expiry: object) -> None:
        self.token, self.expiry = token, expiry

    def refresh(self, request: object) -> None:
        """Nothing newer is to be had."""


def test_a_token_without_an_end_is_kept_and_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.auth.default", lambda scopes: (Credentials("ya29.x", None), None))
    assert Default().fetch() == ("ya29.x", math.inf, math.inf)
    monkeypatch.setattr("google.auth.default", lambda scopes: (Credentials(None, None), None))
    with pytest.raises(NoCredentials, match="brought no token"):
        Default().fetch()


def test_without_google_auth_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(NoCredentials, match=r"pip install 'midstream\[vertex\]'"):
        Default().fetch()
