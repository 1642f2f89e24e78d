"""Who must not get in does not, and whoever tries brings nothing down: a real process, and raw sockets.

Each test ends with the same look: the process lives, serves the next client, and has no stream and no file left over.
"""

import ast
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from hmac import compare_digest
from pathlib import Path

import pytest

from midstream.gateway import tokens as tokens_module
from tests.gateway.attacked import (
    ALICE,
    BODY,
    DEADLINE_S,
    EVENTS,
    MALLORY,
    PLAIN,
    PROC,
    QUESTION,
    REPLY,
    SSE,
    TEXT,
    UPSTREAM_KEY,
    Attacked,
    attacked,
    reset,
    tokens_file,
    whole,
)
from tests.gateway.gateways import ROOT
from tests.gateway.http import attacks
from tests.gateway.http.serving import read_all

pytestmark = pytest.mark.sockets

HEAD_BYTES_MAX, BODY_BYTES_MAX = 64 << 10, 32 << 20
SLOW = ("--head-s", "2", "--body-idle-s", "2", "--body-s", "4")
"""How long heads and bodies may take where that is what is tested; elsewhere it is as everywhere."""

Standing = tuple[Attacked, int]
"""The place, and how many files it had open before anybody attacked it."""


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with attacked(tmp_path_factory.mktemp("security")) as there:
        there.stream()
        yield there, there.files()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Attacked]:
    """One that waits for nobody for long."""
    with attacked(tmp_path, *SLOW) as there:
        there.stream()
        files_before = there.files()
        yield there
        there.check_unharmed(files_before)


@pytest.fixture
def place(standing: Standing) -> Iterator[Attacked]:
    there, files_before = standing
    there.spy.asked.clear()
    there.spy.says = PLAIN
    yield there
    there.check_unharmed(files_before)


# Wrong tokens.

NO_ONES: dict[str, list[bytes]] = {
    "none": [],
    "empty": [b"x-api-key: "],
    "unknown": [b"x-api-key: token-of-nobody-0123456789"],
    "shorter": [b"x-api-key: " + ALICE[:-1].encode()],
    "longer": [b"x-api-key: " + ALICE.encode() + b"0"],
    "in capitals": [b"x-api-key: " + ALICE.upper().encode()],
    "in quotes": [b'x-api-key: "' + ALICE.encode() + b'"'],
    "its hash": [b"x-api-key: " + tokens_module.digest_line(ALICE).split('"')[1].encode()],
    "its owner's name": [b"authorization: Bearer alice"],
    "in another scheme": [b"authorization: Basic " + ALICE.encode()],
    "in no scheme": [b"authorization: " + ALICE.encode()],
    "in another header": [b"x-goog-api-key: " + ALICE.encode(), b"cookie: x-api-key=" + ALICE.encode()],
    "for a proxy": [b"proxy-authorization: Bearer " + ALICE.encode()],
    "two keys": [b"x-api-key: " + ALICE.encode(), b"x-api-key: " + MALLORY.encode()],
    "two bearers": [b"authorization: Bearer " + ALICE.encode(), b"authorization: Bearer x"],
    "the key of the upstream": [b"x-api-key: " + UPSTREAM_KEY.encode()],
    "bytes": [b"authorization: Bearer \xff\xfe\x80"],
}

DOORS = [
    b"POST /v1/messages",
    b"POST /v1/messages?x-api-key=" + ALICE.encode(),
    b"POST /v1/messages/count_tokens",
    b"GET /v1/models",
    b"GET /inference-profiles",
    b"POST /model/anthropic.claude-v2/invoke-with-response-stream",
    b"GET /midstream/streams/ms-" + b"0" * 32,
    b"DELETE /midstream/streams/ms-" + b"0" * 32,
]


@pytest.mark.parametrize("headers", NO_ONES.values(), ids=NO_ONES)
def test_a_wrong_token_opens_no_door_and_no_body_is_waited_for(place: Attacked, headers: list[bytes]) -> None:
    for door in DOORS:
        lines = [door + b" HTTP/1.1", b"host: a", b"content-length: 1000", b"connection: close", *headers]
        answer = place.send(b"\r\n".join(lines) + b"\r\n\r\n")
        assert (answer.status, answer.error) == (401, "authentication_error"), door
        assert ALICE.encode() not in answer.raw
    assert place.spy.asked == []


def test_every_token_of_the_file_is_compared_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def noted(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return compare_digest(one, other)

    tokens = tokens_module.Tokens(tokens_file(tmp_path / "tokens.toml"))
    monkeypatch.setattr(tokens_module.hmac, "compare_digest", noted)
    for shown, name in ((ALICE, "alice"), (MALLORY, "mallory"), ("x" * 20, None), (ALICE[:-1], None)):
        compared.clear()
        client = tokens.who([(b"x-api-key", shown.encode())])
        assert (client.name if client else None) == name and len(compared) == len(tokens) == 2


SECRETS = re.compile(r"owner|digest|credentials?|secret|token|own_key")


def test_owners_and_digests_are_never_compared_by_an_operator_that_stops_at_a_difference() -> None:
    found = []
    for path in sorted((ROOT / "src/midstream/gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
                continue
            sides = [side for side in (node.left, *node.comparators) if isinstance(side, ast.Name | ast.Attribute)]
            names = [side.attr if isinstance(side, ast.Attribute) else side.id for side in sides]
            found += [f"{path.name}:{node.lineno}: {name}" for name in names if SECRETS.fullmatch(name)]
    assert found == []


# Somebody else's stream.


def test_nobody_reads_removes_or_joins_somebody_elses_stream(place: Attacked) -> None:
    how = {"idempotency_key": "the-same-one"}
    id = place.stream(ALICE, **how)
    nothing = place.ask("GET", f"/midstream/streams/ms-{'0' * 32}", x_api_key=MALLORY)
    for method in ("GET", "DELETE"):
        for more in ({}, {"last_event_id": "1"}, {"authorization": f"Bearer {UPSTREAM_KEY}"}):
            said = place.ask(method, f"/midstream/streams/{id}", x_api_key=MALLORY, **more)
            # Whether it is there cannot be told, either.
            assert (said.status, said.body) == (404, nothing.body) and said.headers.keys() == nothing.headers.keys()
    for again in (how, {"x_stainless_retry_count": "1"}, {**how, "x_stainless_retry_count": "3"}):
        assert place.stream(MALLORY, **again) != id
    assert TEXT.encode() in place.ask("GET", f"/midstream/streams/{id}", x_api_key=ALICE).body


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_name_that_is_nearly_right_is_no_name(place: Attacked, method: str) -> None:
    id = place.stream()
    letters = id.removeprefix("ms-")
    near = [
        f"mb-{letters}",
        f"MS-{letters}",
        f"ms-{'1' if letters[0] == '0' else '0'}{letters[1:]}",
        f"ms-{letters[:-1]}",
        f"ms-{letters}0",
        f"ms-{letters}%20",
        f"ms-{letters}%00",
        f"ms-{letters};x",
        "ms-" + "%25" * 16,
        "ms-" + "_" * 32,
        "'%20OR%20id%20LIKE%20'ms-%25",
        "*",
        "",
    ]
    for name in near:
        assert place.ask(method, f"/midstream/streams/{name}", x_api_key=ALICE).status in (400, 404), name
    assert place.ask("GET", f"/midstream/streams/{id}", x_api_key=ALICE).status == 200


# Smuggling.

HIDDEN = b"GET /v1/hidden HTTP/1.1\r\nhost: a\r\nx-api-key: " + ALICE.encode() + b"\r\n\r\n"


def through_the_door(data: bytes) -> bytes:
    """An attack on the parser, by somebody with a token, at a path that is served."""
    data = data.replace(attacks.HIDDEN, HIDDEN)
    for method in (b"POST", b"GET"):
        for version in (b"1.1\r\nhost: a", b"1.0"):
            start = b"%b /echo HTTP/%b\r\n" % (method, version)
            named = b"%b /v1/messages HTTP/%b\r\nx-api-key: %b\r\n" % (method, version, ALICE.encode())
            data = data.replace(start, named)
    return data


@pytest.mark.parametrize(("data", "status"), attacks.ATTACKS.values(), ids=attacks.ATTACKS)
def test_what_could_be_read_in_two_ways_is_refused_also_from_who_may_in(
    place: Attacked, data: bytes, status: int
) -> None:
    answer = place.send(through_the_door(data))
    # What is read as one error, to its end, is one answer and no other behind it.
    assert (answer.status, answer.end) == (status, "fin") and answer.error
    assert place.spy.asked == []


def test_a_request_behind_another_is_not_served(place: Attacked) -> None:
    body = json.dumps(BODY).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n"
    first = head % (ALICE.encode(), len(body)) + body
    for rest in (HIDDEN, first, b"\r\n" + HIDDEN, b"x" * 100):
        place.spy.asked.clear()
        answer = place.send(first + rest)
        assert answer.status == 200 and answer.raw.count(b"HTTP/1.1 ") == 1 and TEXT.encode() in answer.body
        assert [asked.line for asked in place.spy.asked] == ["POST /v1/messages HTTP/1.1"]


def test_a_hidden_request_in_a_body_stays_in_the_body(place: Attacked) -> None:
    start = b"POST /v1/messages/count_tokens HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-api-key: " + ALICE.encode()
    chunked = b"\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    for data in (
        start + b"\r\ncontent-length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        start + chunked,
        start + b"\r\nte: trailers, chunked\r\nconnection: te, content-length, transfer-encoding" + chunked,
        start + b"\r\nconnection: upgrade\r\nupgrade: h2c" + chunked,
        start + b"\r\nx-content-length: 0\r\ncontent_length: 0\r\ntransfer_encoding: chunked" + chunked,
        start + chunked.replace(b"0\r\n\r\n", b"0;a=b\r\ncontent-type: text/plain\r\nx-trailer: a\r\n\r\n"),
    ):
        place.spy.asked.clear()
        place.spy.says = whole(b"HTTP/1.1 200 OK\r\n", b'{"input_tokens":1}')
        answer = place.send(data)
        assert answer.status == 200
        (asked,) = place.spy.asked
        assert asked.body == HIDDEN
        names = [name for name, _ in asked.headers]
        assert names.count("content-length") + names.count("transfer-encoding") == 1
        assert not {"te", "upgrade", "connection", "x-trailer"} & {*names} - {"connection"}
        assert asked.header("x-api-key") is None and asked.header("authorization") == f"Bearer {UPSTREAM_KEY}"


def test_no_request_is_smuggled_by_what_a_client_says_of_its_model(place: Attacked) -> None:
    for model in ("x\r\n\r\nGET /v1/hidden HTTP/1.1\r\n", "../../v1/hidden", "\x00", "\ud800", "x" * 1_000_000):
        said = place.ask(x_api_key=ALICE, body={**BODY, "model": model})
        assert said.status == 200 and TEXT.encode() in said.body
    assert {asked.line for asked in place.spy.asked} == {"POST /v1/messages HTTP/1.1"}


# Slow ones, and large ones.


def test_who_is_slow_is_told_so_and_keeps_nobody_waiting(impatient: Attacked) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: " + ALICE.encode() + b"\r\n"
    starts = {
        b"P": 408,
        head: 408,
        head + b"x-slow: ": 408,
        head + b"content-length: 10\r\n\r\n": 408,
        head + b"content-length: 10\r\n\r\n{": 408,
        head + b"transfer-encoding: chunked\r\n\r\n": 408,
        head + b"transfer-encoding: chunked\r\n\r\n5\r\n{": 408,
        head.replace(b"messages", b"messages/count_tokens") + b"content-length: 10\r\n\r\n{": 408,
    }
    lines = [(impatient.connect(), start) for start in starts for _ in range(25)]
    try:
        for line, start in lines:
            line.sendall(start)
        impatient.stream()  # is served meanwhile
        for line, start in lines:
            answer = read_all(line)
            assert answer.status == starts[start] and answer.end == "fin", start
    finally:
        for line, _ in lines:
            line.close()
    # Before it began, and meanwhile.
    assert len([asked for asked in impatient.spy.asked if asked.line == "POST /v1/messages HTTP/1.1"]) == 2


def test_who_trickles_is_not_waited_for_until_the_end_of_days(impatient: Attacked) -> None:
    """A byte now and then keeps neither the head's time from running out, nor that of a whole body."""
    head = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: " + ALICE.encode() + b"\r\n"
    for start in (head + b"x-slow: ", head + b"content-length: 100000\r\n\r\n"):
        with impatient.connect() as line:
            line.sendall(start)
            line.settimeout(0.3)
            received = b""
            for _ in range(200):
                line.sendall(b"a")
                try:
                    received += line.recv(65536)
                    break
                except TimeoutError:
                    pass
            assert received.startswith(b"HTTP/1.1 408 "), start


LONG: dict[str, tuple[dict[str, str], int]] = {
    "a number of a thousand digits": ({"last_event_id": "9" * 1000}, 400),
    "a number beyond the journal's": ({"last_event_id": "9" * 19}, 400),
    "a number with a sign": ({"last_event_id": "-1"}, 400),
    "a number in other words": ({"last_event_id": "1e3"}, 400),
    "a long name": ({"last_event_id": "x" * 60_000}, 400),
    "a number behind the end": ({"last_event_id": "999"}, 400),
}


@pytest.mark.parametrize(("headers", "status"), LONG.values(), ids=LONG)
def test_a_place_to_read_on_from_that_is_none_is_refused(place: Attacked, headers: dict[str, str], status: int) -> None:
    said = place.ask("GET", f"/midstream/streams/{place.stream()}", x_api_key=ALICE, **headers)
    assert (said.status, said.error) == (status, "invalid_request_error")


def test_idempotency_keys_count_to_their_last_character(place: Attacked) -> None:
    keys = ["k" * 60_000 + end for end in "ab"]
    first, second = (place.stream(idempotency_key=key) for key in keys)
    assert first != second
    # A key that is no number of a retry is none, either.
    assert place.stream(x_stainless_retry_count="9" * 60_000) != first


BODIES = {
    "deep": b'{"stream":true,"model":"m","messages":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep, without an end": b"[" * 200_000,
    "a number without an end": b'{"stream":true,"x":' + b"9" * 200_000,
    "bytes": b"\xff\xfe" * 1000,
    "a list": b"[]",
    "nothing": b"",
    "two objects": b"{}{}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_object_gets_the_envelope(place: Attacked, body: bytes) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n"
    answer = place.send(head % (ALICE.encode(), len(body)), body)
    assert (answer.status, answer.error) == (400, "invalid_request_error")
    assert place.spy.asked == []


@pytest.mark.parametrize("path", [b"/v1/messages", b"/v1/messages/count_tokens", b"/model/m/invoke"])
@pytest.mark.parametrize("chunked", [True, False], ids=["in chunks", "of a length"])
def test_a_body_over_the_limit_is_refused_however_it_comes(place: Attacked, path: bytes, chunked: bool) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: a\r\nx-api-key: %b\r\n" % (path, ALICE.encode())
    length = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % (BODY_BYTES_MAX + 1)
    piece = b"a" * (1 << 20)
    pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece] * (BODY_BYTES_MAX // len(piece) + 1)
    answer = place.send(head + length + b"\r\n\r\n", *pieces)
    assert answer.raw.startswith(b"HTTP/1.1 413 ") and answer.end == "fin"
    assert answer.error == "request_too_large"
    # What was passed on while it arrived was never whole.
    assert place.spy.asked == []


# Ids, names and words of the upstream's.

EVIL = "req_1\r\nx-evil: 1\r\n\r\nHTTP/1.1 200 OK"


def error_body(type: str = "overloaded_error", message: str = "no") -> bytes:
    return json.dumps({"type": "error", "error": {"type": type, "message": message}, "request_id": EVIL}).encode()


def error_event(type: str = "overloaded_error") -> bytes:
    return b"event: error\ndata: " + error_body(type, EVIL) + b"\n\n"


def refusing(status: bytes, *headers: bytes, body: bytes = error_body()) -> bytes:
    return whole(b"HTTP/1.1 " + b"\r\n".join((status, b"content-type: application/json", *headers, b"")), body)


SAID: dict[str, tuple[bytes, int]] = {
    "an id in the body of an overload": (refusing(b"529 X"), 529),
    "an id in the body of a refusal": (refusing(b"400 X", body=error_body("invalid_request_error", EVIL)), 400),
    "an id in Google's words": (
        refusing(b"503 X", body=json.dumps({"error": {"message": EVIL, "status": EVIL}}).encode()),
        503,
    ),
    "an id in the first event": (whole(SSE, error_event()), 529),
    "an id in an event behind others": (
        whole(SSE, REPLY.partition(b"event: content_block_stop")[0] + error_event()),
        200,
    ),
    "a type that is none": (whole(SSE, error_event(EVIL)), 500),
    "a cr in an id": (refusing(b"529 X", b"request-id: req_1\rx-evil: 1"), 502),
    "a nul in an id": (refusing(b"529 X", b"request-id: req_1\0x-evil: 1"), 502),
    "a folded id": (refusing(b"529 X", b"request-id: req_1", b" x-evil: 1"), 502),
    "an id of a stream": (refusing(b"400 X", b"midstream-stream-id: ms-evil"), 400),
    "an id of a stream on a stream": (whole(SSE + b"midstream-stream-id: ms-evil\r\n", REPLY), 200),
    "a cookie on a stream": (whole(SSE + b"set-cookie: x-evil=1\r\n", REPLY), 200),
    "what is for this hop": (
        whole(SSE + b"connection: x-evil\r\nx-evil: 1\r\nproxy-authenticate: x-evil\r\n", REPLY),
        200,
    ),
    "two lengths": (SSE + b"content-length: 3\r\n" + whole(b"", REPLY), 502),
    "a length and chunks": (SSE + b"transfer-encoding: chunked\r\n" + whole(b"", REPLY), 502),
    "a status of four digits": (b"HTTP/1.1 1200 OK\r\ncontent-length: 0\r\n\r\n", 502),
    "a status that says to change": (b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", 502),
    "no http": (b"SSH-2.0-evil\r\n", 502),
    "another answer behind it": (PLAIN + whole(b"HTTP/1.1 200 OK\r\nx-evil: 1\r\n", b"x-evil"), 200),
    "a head without an end": (b"HTTP/1.1 200 OK\r\n" + b"x-long: %b\r\n" % (b"a" * 900) * 200, 502),
    "headers without an end": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000, 502),
}


@pytest.mark.parametrize(("says", "status"), SAID.values(), ids=SAID)
def test_nothing_that_an_upstream_says_becomes_a_header_or_a_line_of_the_log(
    place: Attacked, says: bytes, status: int
) -> None:
    place.spy.says = says
    data = json.dumps(BODY).encode()
    for path in (
        b"/v1/messages",
        b"/model/anthropic.claude-v2/invoke-with-response-stream",
        b"/v1/messages/count_tokens",
    ):
        head = b"POST %b HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n"
        answer = place.send(head % (path, ALICE.encode(), len(data)) + data)
        lines = [line.partition(b":")[0].lower() for line in answer.head.split(b"\r\n")[1:]]
        assert answer.raw.startswith(b"HTTP/1.1 ") and b"x-evil" not in lines
        assert not re.search(rb"[\0\r\n]", answer.head.replace(b"\r\n", b""))
        if path == b"/v1/messages":
            assert answer.status == status and b"evil" not in answer.head
            assert lines.count(b"midstream-stream-id") == 1
    # Every line of the log is one that was meant.
    log = place.gateway.log.read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in log) and not any("evil" in line for line in log)


# Paths.

TRICKS = [
    "//v1/messages", "/v1//messages", "/v1/../v1/messages", "/v1/./messages", "/./v1/messages", "/v1/messages/..",
    "/v1/%2e%2e/v1/messages", "/v1/%2E./messages", "/v1/.%2e/messages", "/v1/messages%2f..%2fmodels",
    "/v1%2fmessages", "/v1/messages%5c..", "/v1\\messages", "/v1/messages%00", "/v1/..;/admin", "/v1/;/../admin",
    "/%76%31/messages", "/V1/messages", "/v1", "/v2/messages", "v1/messages", "", "*", "?x=/v1/messages",
    "http://a/v1/messages", "https://evil.example/v1/messages", "//evil.example/v1/messages", "a:443",
    "/midstream/streams/../", "/midstream/streams/..", "/midstream/streams/../../v1/messages",
    "/midstream/streams/%2e%2e/v1/messages", "/midstream/streams/..%2f..%2fv1%2fmessages", "/midstream/streams",
    "/midstream/streams/", "/midstream/", "/midstream/../v1/messages", "/midstream/streams/.%00./x",
    "/model/../../v1/messages", "/model/..%2f..%2fv1/invoke", "/model/%2e%2e/invoke", "/model/%2e/invoke",
    "/model/./invoke", "/model//invoke", "/model/a/b/invoke", "/model/a%0d%0ax-evil:%201/invoke", "/model/a%3fb/invoke",
    "/model/a%23b/invoke", "/model/a%00/invoke", "/model/a/invoke/..", "/model/a/invoke/", "/model/a/converse-stream",
    "/metrics", "/healthz", "/readyz", "/streams", "/favicon.ico", "/v1/messages#x", "/v1/mess ages", "/v1/mess\tages",
]  # fmt: skip


@pytest.mark.parametrize("path", TRICKS)
def test_no_path_leads_past_the_api(place: Attacked, path: str) -> None:
    data = json.dumps(BODY).encode()
    for method in ("GET", "POST", "DELETE", "PUT", "CONNECT", "TRACE", "OPTIONS"):
        head = f"{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-api-key: {ALICE}\r\n"
        answer = place.send(head.encode() + b"content-length: %d\r\n\r\n" % len(data) + data)
        assert answer.status in (400, 404, 405), (method, answer.raw)
        # Where the path is one of Bedrock's, in Bedrock's words.
        assert (path.startswith("/model/") and json.loads(answer.body).get("message")) or answer.error
    assert place.spy.asked == []


# The second port.


def test_the_second_port_is_another_port_on_loopback(place: Attacked) -> None:
    port = int(place.gateway.control_url.rpartition(":")[2])
    for path in ("/v1/messages", f"/midstream/streams/{place.stream()}", "/model/m/invoke"):
        connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        with connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\nx-api-key: {ALICE}\r\n\r\n".encode())
            assert read_all(connection).status == 404
    # A page in a browser, by a name of its own that leads to loopback.
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        connection.sendall(b"GET /streams HTTP/1.0\r\nhost: evil.example\r\n\r\n")
        assert read_all(connection).status == 403


@pytest.mark.skipif(not PROC.is_dir(), reason="what a process listens at is read from /proc")
def test_it_listens_on_loopback_alone(place: Attacked) -> None:
    sockets = {os.readlink(path) for path in (PROC / str(place.pid) / "fd").iterdir() if path.is_symlink()}
    listening = []
    for name in ("tcp", "tcp6"):
        for line in (PROC / str(place.pid) / "net" / name).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                listening.append(words[1].partition(":")[0])
    assert listening == ["0100007F", "0100007F"]


OPEN = {
    "clients": (["--listen", "0.0.0.0:0"], "--listen 0.0.0.0:0 can be reached by others"),
    "clients, by IPv6": (["--listen", "[::]:0"], "--listen [::]:0 can be reached by others"),
    "clients, by name": (["--listen", "evil.example:0"], "--listen evil.example:0 can be reached by others"),
    "the second port": (["--control-listen", "0.0.0.0:0"], "--control-listen 0.0.0.0:0 can be reached by others"),
}


@pytest.mark.parametrize(("arguments", "sentence"), OPEN.values(), ids=OPEN)
def test_an_address_that_others_reach_has_to_be_meant(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "midstream", "serve", "--journal", str(tmp_path / "j"), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2 and ended.stderr.startswith(f"midstream serve: {sentence}")
    assert ended.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


# What is left.


def test_clients_that_crash_leave_nothing_behind(place: Attacked) -> None:
    body = json.dumps(BODY).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n"
    request = head % (ALICE.encode(), len(body)) + body
    for at in range(0, len(request), 5):
        line = place.connect()
        line.sendall(request[:at])
        reset(line)


def test_no_credential_is_told_or_stored_and_no_content_is_told(place: Attacked) -> None:
    place.stream()
    place.ask(x_api_key=MALLORY + "x")
    stored, log = place.stored().replace(place.tokens.read_bytes(), b""), place.gateway.log.read_bytes()
    assert QUESTION.encode() in stored, "the journal is not where it was looked for"
    for secret in (ALICE, MALLORY, UPSTREAM_KEY):
        assert secret.encode() not in stored
    for content in (QUESTION, TEXT, EVENTS[2]["delta"]["text"]):
        assert content.encode() not in log
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.gateway.journal.parent.glob("journal*"))
