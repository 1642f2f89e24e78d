"""How servers are met over TLS, and what an end of it means."""

import ssl
from pathlib import Path

import pytest

from midstream.gateway.http.tls import client_context, why_refused
from tests.gateway.http.authority import pem, server_context, trusting
from tests.gateway.http.servers import Answer, Run, Server, ask, on_both_loops, pooled, post


def test_certificates_and_names_are_checked() -> None:
    context = client_context()
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_a_bundle_takes_the_place_of_the_systems_authorities(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(pem())
    assert [found["subject"] for found in client_context(str(bundle)).get_ca_certs()] == [
        ((("commonName", "midstream tests"),),)
    ]


def test_the_file_that_openssl_is_told_of_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert "midstream tests" in str(client_context().get_ca_certs())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        ("no certificate", "is no file of certificates"),
        ("", "is no file of certificates"),
    ],
)
def test_a_bundle_that_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path, content: str | None, why: str) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(ValueError) as refused:
        client_context(str(bundle))
    assert str(refused.value) == f"the CA bundle {bundle} {why}"


def test_why_a_handshake_failed_is_one_of_three() -> None:
    assert why_refused(TimeoutError()) == ("connect_timeout", "the TLS handshake took too long")
    assert why_refused(ConnectionResetError()) == ("tls", "ConnectionResetError")
    assert why_refused(ssl.SSLCertVerificationError())[0] == "certificate"


@on_both_loops
@pytest.mark.parametrize(("then", "end"), [("close", "ended"), ("abort", "incomplete")])
def test_over_tls_a_body_without_framing_ends_only_where_the_server_says_so(run: Run, then: str, end: str) -> None:
    """Anybody on the way can close a connection: without TLS's own goodbye the body may have been cut."""

    async def story() -> None:
        answer = Answer(b"HTTP/1.1 200 OK\r\n\r\nhello", then)
        async with (
            Server(answer, tls=server_context("localhost")) as server,
            pooled(ssl_context=trusting()) as pool,
        ):
            heard, _ = ask(pool, post(server.origin("localhost")))
            await heard.until(lambda: heard.body == b"hello")
            server.go.set()
            await heard.over()
            assert (heard.end, heard.body) == (end, b"hello")
            assert pool.connections == 0

    run(story())


@on_both_loops
@pytest.mark.parametrize(("then", "end"), [("close", "incomplete"), ("abort", "incomplete"), ("reset", "reset")])
def test_over_tls_a_cut_body_is_a_cut_body(run: Run, then: str, end: str) -> None:
    async def story() -> None:
        answer = Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", then)
        async with (
            Server(answer, tls=server_context("localhost")) as server,
            pooled(ssl_context=trusting()) as pool,
        ):
            heard, _ = ask(pool, post(server.origin("localhost")))
            await heard.until(lambda: heard.body == b"hello")
            server.go.set()
            assert (await heard.over()).end == end

    run(story())
