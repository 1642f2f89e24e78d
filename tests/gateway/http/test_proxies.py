"""What the environment says of proxies, as a table."""

import pytest

from midstream.gateway.http.origin import Origin
from midstream.gateway.http.proxies import DIRECT, Proxies, Proxy, Route

HTTP, HTTPS = Origin("http", "api.example.com", 80), Origin("https", "api.example.com", 443)
HERE = Proxy(Origin("http", "proxy", 3128))
THERE = Proxy(Origin("http", "other", 80))

ENVIRONMENTS = [
    # what is set, the proxy for http, the proxy for https
    ({}, None, None),
    ({"HTTP_PROXY": "http://proxy:3128"}, HERE, None),
    ({"HTTPS_PROXY": "http://proxy:3128"}, None, HERE),
    ({"ALL_PROXY": "http://proxy:3128"}, HERE, HERE),
    ({"ALL_PROXY": "http://proxy:3128", "HTTPS_PROXY": "http://other"}, HERE, THERE),
    ({"https_proxy": "http://proxy:3128", "HTTPS_PROXY": "http://other"}, None, HERE),
    ({"all_proxy": "proxy:3128"}, HERE, HERE),
    ({"all_proxy": "  ", "https_proxy": "", "HTTPS_PROXY": "HTTP://Proxy:3128/"}, None, HERE),
    ({"https_proxy": "https://proxy"}, None, Proxy(Origin("https", "proxy", 443))),
    ({"https_proxy": "http://[::1]:3128"}, None, Proxy(Origin("http", "::1", 3128))),
    ({"https_proxy": "http://me:p%40ss@proxy:3128"}, None, Proxy(HERE.origin, b"Basic bWU6cEBzcw==")),
    ({"https_proxy": "http://me@proxy:3128"}, None, Proxy(HERE.origin, b"Basic bWU6")),
    # A CGI program is sent HTTP_PROXY by its client.
    ({"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET"}, None, None),
    ({"http_proxy": "http://proxy:3128", "REQUEST_METHOD": "GET"}, HERE, None),
    ({"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None, None),
    ({"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "x, *"}, None, None),
    ({"ALL_PROXY": "http://proxy:3128", "no_proxy": "x", "NO_PROXY": "*"}, HERE, HERE),
]


@pytest.mark.parametrize(("environ", "http", "https"), ENVIRONMENTS)
def test_each_scheme_has_the_proxy_that_the_environment_names(
    environ: dict[str, str], http: Proxy | None, https: Proxy | None
) -> None:
    proxies = Proxies.from_env(environ)
    assert (proxies.of(HTTP), proxies.of(HTTPS)) == (http, https)


EXCEPTIONS = [
    # NO_PROXY, host, port, whether the way is straight
    ("example.com", "example.com", 443, True),
    ("example.com", "api.example.com", 443, True),
    ("example.com", "Api.Example.COM.", 443, True),
    ("EXAMPLE.com", "example.com", 443, True),
    ("example.com", "badexample.com", 443, False),
    ("example.com", "example.com.evil", 443, False),
    (".example.com", "api.example.com", 443, True),
    (".example.com", "example.com", 443, False),
    ("*.example.com", "api.example.com", 443, True),
    ("*.example.com", "example.com", 443, False),
    ("example.com:8443", "api.example.com", 8443, True),
    ("example.com:8443", "api.example.com", 443, False),
    ("a, b ,,c", "b", 443, True),
    ("a b c", "c", 443, True),
    ("localhost", "localhost", 8000, True),
    ("127.0.0.1", "127.0.0.1", 8000, True),
    ("127.0.0.1", "127.0.0.2", 8000, False),
    ("127.0.0.1:8000", "127.0.0.1", 8000, True),
    ("127.0.0.1:8000", "127.0.0.1", 8001, False),
    ("10.0.0.0/8", "10.1.2.3", 443, True),
    ("10.0.0.0/8", "11.1.2.3", 443, False),
    ("10.1.2.3/8", "10.9.9.9", 443, True),
    ("10.0.0.0/8", "ten.example", 443, False),
    ("::1", "::1", 443, True),
    ("[::1]", "::1", 443, True),
    ("[::1]:8000", "::1", 8000, True),
    ("[::1]:8000", "::1", 443, False),
    ("fd00::/8", "fd12::1", 443, True),
    ("fd00::/8", "10.0.0.1", 443, False),
    ("", "example.com", 443, False),
    (",", "example.com", 443, False),
    (":", "example.com", 443, False),
    ("1/2/3", "example.com", 443, False),
    ("example.com:port", "example.com", 443, False),
]


@pytest.mark.parametrize(("no_proxy", "host", "port", "straight"), EXCEPTIONS)
def test_what_no_proxy_names_is_reached_straight(no_proxy: str, host: str, port: int, straight: bool) -> None:
    proxies = Proxies.from_env({"ALL_PROXY": "http://proxy:3128", "NO_PROXY": no_proxy})
    assert (proxies.of(Origin("https", host, port)) is None) is straight


BAD = [
    ("socks5://me:s3cret@proxy:1080", "HTTPS_PROXY names a proxy of the kind socks5: only http and https are spoken"),
    ("http://me:s3cret@", "HTTPS_PROXY names no host: it must look like http://proxy:3128"),
    ("http://me:s3cret@proxy:port", "HTTPS_PROXY is not a URL: it must look like http://proxy:3128"),
    ("http://me:s3cret@[proxy", "HTTPS_PROXY is not a URL: it must look like http://proxy:3128"),
    ("http://me:s3cret@proxy:0x1", "HTTPS_PROXY is not a URL: it must look like http://proxy:3128"),
]


@pytest.mark.parametrize(("said", "why"), BAD)
def test_a_proxy_that_cannot_be_used_is_refused_in_one_sentence_without_its_password(said: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:
        Proxies.from_env({"https_proxy": said})
    assert str(refused.value) == why
    assert "s3cret" not in repr(refused.value.__context__) or refused.value.__suppress_context__


def test_a_password_is_in_no_text() -> None:
    proxy = Proxies.from_env({"https_proxy": "http://me:s3cret@proxy:3128"}).of(HTTPS)
    assert proxy is not None
    assert repr(proxy) == str(proxy) == f"{proxy}" == "Proxy(http://proxy:3128)"
    assert "Basic" not in repr(Route(HTTPS, proxy))


def test_a_way_is_shared_by_what_one_connection_can_serve() -> None:
    proxies = Proxies(HERE, HERE)
    other = Origin("http", "other.example", 80)
    assert proxies.route(HTTP) == proxies.route(other) == Route(None, HERE)
    assert proxies.route(HTTPS) == Route(HTTPS, HERE) != proxies.route(HTTPS._replace(host="other.example"))
    assert DIRECT.route(HTTP) == Route(HTTP) != DIRECT.route(other)
