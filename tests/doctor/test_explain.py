"""From what a person has to the entry that helps: everything that SDKs, clouds and proxies say by name is known."""

import json
import time
import typing

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.entries import catalogue
from midstream.doctor.explain import (
    EVIDENCE_CHARS_MAX,
    OTHERS_MAX,
    TEXT_CHARS_MAX,
    explain,
    finding_of,
    report_entry,
    report_on,
)
from midstream.doctor.render import to_json, to_text


def best(text: str) -> str:
    entry = explain(text).best
    return entry.id if entry else ""


TRANSPORT = sorted(
    name
    for name, value in vars(httpx2).items()
    if isinstance(value, type) and issubclass(value, httpx2.RequestError | httpx2.StreamError)
    # What only its subclasses are raised as, what no SDK meets, and what is no failure of a stream.
    if name
    not in {"RequestError", "TransportError", "TimeoutException", "NetworkError", "ProtocolError", "StreamError"}
    if name not in {"UnsupportedProtocol", "TooManyRedirects", "RequestNotRead", "CloseError", "RemoteProtocolError"}
)


@pytest.mark.parametrize("package", ["httpx", "httpx2", "httpcore"])
@pytest.mark.parametrize("name", TRANSPORT)
def test_every_exception_of_the_http_libraries_has_an_entry(name: str, package: str) -> None:
    assert best(f"{package}.{name}"), name


def test_the_list_of_those_exceptions_is_not_empty() -> None:
    assert {"ReadError", "ReadTimeout", "PoolTimeout", "DecodingError", "StreamClosed", "ProxyError"} <= set(TRANSPORT)


def error_types() -> list[str]:
    from anthropic.types.shared.error_type import ErrorType

    return [*typing.get_args(ErrorType), "request_too_large"]


@pytest.mark.parametrize("name", error_types())
def test_every_error_type_of_the_api_has_an_entry(name: str) -> None:
    assert best(json.dumps({"type": "error", "error": {"type": name, "message": "x"}}))
    assert best(f"anthropic.APIStatusError: {{'type': 'error', 'error': {{'type': '{name}', 'message': 'x'}}}}")
    assert best(name)


def bedrock_exceptions() -> list[str]:
    from botocore.loaders import Loader

    shapes = Loader().load_service_model("bedrock-runtime", "service-2")["shapes"]
    names = {name for name, shape in shapes.items() if shape.get("exception")}
    return sorted(names - {"ConflictException", "ResourceNotFoundException"})


@pytest.mark.parametrize("name", bedrock_exceptions())
def test_every_exception_of_bedrock_has_an_entry_however_it_is_spelt(name: str) -> None:
    camel = name[0].lower() + name[1:]
    spellings = [
        f"An error occurred ({name}) when calling the InvokeModelWithResponseStream operation: x",
        f"botocore.exceptions.EventStreamError: An error occurred ({camel}) when calling the Converse operation: x",
        f"anthropic.APIStatusError: {{'type': 'error', 'error': {{'type': '{camel}', 'message': 'x'}}}}",
    ]
    found = {best(text) for text in spellings}
    assert len(found) == 1 and found.pop().startswith("bedrock-")


KNOWN = [
    ("botocore.eventstream.ChecksumMismatch: Checksum mismatch: expected 0x1, calculated 0x2", "botocore-checksum"),
    (
        "botocore.eventstream.InvalidPayloadLength: Payload length of 1 exceeded the maximum of 2",
        "botocore-frame-length",
    ),
    ("binascii.Error: Incorrect padding", "botocore-frame-length"),
    ("aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected", "server-disconnected"),
    ("aiohttp.client_exceptions.SocketTimeoutError: Timeout on reading data from socket", "aiohttp-timeout"),
    ("AssertionError\n  in get_final_message", "sdk-assertion"),
    ("AttributeError: 'NoneType' object has no attribute 'message'", "bedrock-none-message"),
    ("stream_error", "stream-error"),
    ("H12", "heroku-timeout"),
    ("UND_ERR_CONNECT_TIMEOUT", "undici-connect-timeout"),
    ('data: {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}', "stop-max-tokens"),
    ("stop_reason=refusal", "stop-refusal"),
    ("curl: (92) HTTP/2 stream 1 was not closed cleanly: CANCEL (err 8)", "http2-reset"),
    ("curl: (22) The requested URL returned error: 418", "curl-22"),
    ("curl: (22) The requested URL returned error: 529", "overloaded"),
    ("curl: (23) Failure writing output to destination", "curl-23"),
    ("curl: (55) Send failure: Broken pipe", "httpx-write-error"),
    ('a.b fe~ be/s1 0/0/0/-1/4 502 194 - - SH-- 1/1/0/0/0 0/0 "POST / HTTP/1.1"', "haproxy-server-abort"),
    (
        "*1 connect() failed (111: Connection refused) while connecting to upstream, client: 1.2.3.4",
        "nginx-upstream-unreachable",
    ),
    ("httpx.ConnectError: [Errno 113] No route to host", "connect-error"),
    ("aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host x:443", "connect-error"),
    ("aiohttp.ClientConnectionResetError: Cannot write to closing transport", "econnreset"),
    ("code: 'CERT_HAS_EXPIRED'", "tls-certificate"),
    ("code: 'UND_ERR_DESTROYED'", "aborted"),
    ("(70007)The timeout specified has expired: [client 1.2.3.4:5]", "apache-read-body"),
    ("503 no healthy upstream", "envoy-reset-before-headers"),
    (
        'a.b fe~ be/s1 0/0/0/12/50013 200 812 - - sD-- 1/1/0/0/0 0/0 "POST /v1/messages HTTP/1.1"',
        "haproxy-server-timeout",
    ),
    ('a.b fe~ be/s1 0/0/0/-1/50001 504 194 - - sH-- 1/1/0/0/0 0/0 "POST / HTTP/1.1"', "haproxy-server-timeout"),
    ('a.b fe~ be/s1 0/0/0/12/5001 200 812 - - CD-- 1/1/0/0/0 0/0 "POST / HTTP/1.1"', "haproxy-client-abort"),
    (
        '[2026-11-21T10:00:00.000Z] "POST /v1/messages HTTP/2" 504 UT response_timeout - "-" 10 24',
        "envoy-route-timeout",
    ),
    (
        '"POST / HTTP/1.1" 200 UPE upstream_reset_after_response_started{protocol_error} - "-" 10 24',
        "envoy-reset-after-headers",
    ),
    ('[2026-11-21T10:00:00.000Z] "POST / HTTP/1.1" 200 SI stream_idle_timeout - "-"', "envoy-idle-timeout"),
    (
        '[2026-11-21T10:00:00.000Z] "POST / HTTP/1.1" 200 DC downstream_remote_disconnect - "-"',
        "envoy-reset-after-headers",
    ),
    ("recv() failed (104: Connection reset by peer) while reading upstream, client: 1.2.3.4", "nginx-reset"),
    ("client timed out (110: Connection timed out) while sending to client, client: 1.2.3.4", "nginx-client-left"),
    (
        "epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too",
        "nginx-client-left",
    ),
    (
        "[proxy_http:error] (70007)The timeout specified has expired: [client 1.2.3.4] AH01110: error reading response",
        "apache-read-body",
    ),
    ("(gw_backend.c.2) read timeout on socket: unix:/x (fd: 3)", "lighttpd-read-timeout"),
    ("[lib/core/proxy.c] in request:/v1/messages:I/O timeout", "h2o-timeout"),
    ("[WARNING] (12) : Proxy fe hard-stopped (1 remaining conns will be closed).", "haproxy-hard-stop"),
]


@pytest.mark.parametrize(("text", "entry"), KNOWN)
def test_what_is_known_by_its_text_is_found(text: str, entry: str) -> None:
    assert best(text) == entry


@pytest.mark.parametrize("status", [408, 426, 431, 460, 499, 502, 503, 504, 520, 522, 524])
@pytest.mark.parametrize("said", ["{}", "HTTP {}", "HTTP/1.1 {}", "status {}", "status code: {}"])
def test_every_status_of_a_proxy_has_an_entry_of_its_own(status: int, said: str) -> None:
    assert best(said.format(status)) == f"http-{status}"


@pytest.mark.parametrize(
    ("status", "entry"),
    [
        (400, "invalid-request"),
        (529, "overloaded"),
        (429, "rate-limit"),
        (401, "authentication"),
        (413, "request-too-large"),
        (521, "http-521"),
    ],
)
def test_a_status_of_the_api_leads_to_its_error(status: int, entry: str) -> None:
    assert best(f"HTTP {status}") == entry


@pytest.mark.parametrize("said", ["curl: ({})", "exit {}", "curl exit code {}", "exit status {}", "{}"])
@pytest.mark.parametrize(
    ("code", "entry"),
    [
        (6, "dns-failure"),
        (7, "connection-refused"),
        (18, "curl-18"),
        (28, "curl-28"),
        (35, "tls-handshake"),
        (52, "curl-52"),
        (56, "curl-56"),
        (60, "tls-certificate"),
        (61, "curl-61"),
        (92, "http2-reset"),
    ],
)
def test_every_exit_of_curl_that_a_stream_meets_has_an_entry(code: int, entry: str, said: str) -> None:
    assert best(said.format(code)) == entry


TRACEBACK = """\
Traceback (most recent call last):
  File "/app/.venv/lib/python3.11/site-packages/httpcore/_sync/http11.py", line 1, in handle_request
    raise ConnectError("never raised here")
httpcore.ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/main.py", line 9, in <module>
    except anthropic.APITimeoutError:
anthropic.APIConnectionError: Connection error.
"""


def test_the_cause_comes_before_what_is_wrapped_around_it() -> None:
    found = explain(TRACEBACK)
    assert [hit.entry.id for hit in found.hits] == ["tls-certificate", "sdk-connection-error"]
    report = report_on(found)
    assert report.findings[0].evidence == (
        "httpcore.ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
    )
    assert "sdk-connection-error" in report.advice[0] and "1 more" in report.verdict
    assert [finding.id for finding in report_on(found, every=True).findings] == [
        "tls-certificate",
        "sdk-connection-error",
    ]


@pytest.mark.parametrize(
    ("text", "subject"), [(TRACEBACK, "anthropic.APIConnectionError: Connection error."), ("\n a \nb", "a"), ("", "")]
)
def test_a_text_is_known_by_its_first_line_and_a_traceback_by_its_last(text: str, subject: str) -> None:
    assert explain(text).subject == subject


def test_where_nothing_fits_it_says_so_and_what_to_capture() -> None:
    report = report_on(explain("nothing of the kind"))
    assert report.verdict.startswith("no entry") and not report.findings and len(report.advice) > 3
    assert report.data == {"matches": []}
    assert explain("").best is None and explain(" \n").subject == ""


def test_no_more_guesses_are_named_than_a_person_reads() -> None:
    everything = " ; ".join(sign.all[0] for entry in catalogue().values() for sign in entry.match if sign.all)
    report = report_on(explain(everything[:5_000]))
    assert len(report.advice) == OTHERS_MAX and len(report.data["matches"]) > OTHERS_MAX


def test_a_secret_in_the_text_is_not_said_again() -> None:
    secret = "sk-ant-api03-abcdefghijklmnop"
    text = f"httpx.ReadTimeout with Authorization: Bearer {secret} " + "x" * 1_000
    report = report_on(explain(text))
    assert secret[10:] not in to_text(report) + to_json(report) and "<hidden>" in to_text(report)
    assert len(report.subject) <= EVIDENCE_CHARS_MAX + 1


@pytest.mark.parametrize("entry", catalogue().values(), ids=lambda entry: entry.id)
def test_an_entry_can_be_shown_by_its_name(entry: typing.Any) -> None:
    report = report_entry(entry)
    text = to_text(report)
    assert entry.title in " ".join(text.split()) or "`" in entry.title
    assert finding_of(entry).steps == entry.steps and "how to know that it worked" in text


def test_of_a_long_text_the_end_is_read() -> None:
    long = explain("httpx.ReadTimeout\n" + "x\n" * TEXT_CHARS_MAX)
    assert long.cut and long.best is None and report_on(long).facts
    assert explain("x\n" * TEXT_CHARS_MAX + "httpx.ReadTimeout").best is not None


@pytest.mark.parametrize(
    "unit",
    ["a", "error ", "http/1.1 200 ", "upstream timed out (", "NoneType object has no attribute ", "\\\"'", "tool "],
)
def test_a_megabyte_of_anything_does_not_hang(unit: str) -> None:
    """A deadline against hanging, many times what it takes."""
    began = time.monotonic()
    explain(unit * (TEXT_CHARS_MAX // len(unit)))
    assert time.monotonic() - began < 120


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_has_a_report(text: str) -> None:
    report = report_on(explain(text), every=True)
    assert to_text(report, 40) and to_json(report)
