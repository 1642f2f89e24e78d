"""nginx, beyond the pairs of its rules: versions, inheritance, and what is left alone."""

from collections.abc import Mapping

import pytest

from midstream.doctor.lint.findings import Assumptions, Checked, version_of
from midstream.doctor.lint.nginx import check
from midstream.doctor.lint.source import Source

RIGHT = "proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; client_max_body_size 0;"


def checked(text: str, versions: Mapping[str, str] | None = None, **assumed: float) -> Checked:
    known = {name: version_of(text) for name, text in (versions or {}).items()}
    return check(Source("nginx.conf", text), Assumptions(known, **assumed))


def rules_of(found: Checked) -> list[str]:
    return [finding.rule.id for finding in found.findings]


def proxying(text: str) -> str:
    return f"http {{ server {{ {RIGHT} location / {{ proxy_pass http://x; {text} }} }} }}"


def test_a_right_configuration_is_right_by_inheritance() -> None:
    assert rules_of(checked(proxying(""))) == []


@pytest.mark.parametrize(
    ("version", "expected"), [("1.29.6", True), ("1.29.7", False), ("1.30.6", False), (None, True)]
)
def test_http10_depends_on_the_version(version: str | None, expected: bool) -> None:
    found = checked("location / { proxy_pass http://x; }", {"nginx": version} if version else None)
    assert ("NGX-HTTP10" in rules_of(found)) is expected
    said = " ".join(finding.said for finding in found.findings)
    assert ("the default before 1.29.7" in said) is (version is None)


def test_kept_connections_are_the_default_of_later_versions() -> None:
    text = "upstream x { keepalive 3; } " + proxying("")
    assert rules_of(checked(text, {"nginx": "1.29.7"})) == ["NGX-KEEPALIVE-IDLE"]
    assert rules_of(checked(text, {"nginx": "1.29.6"})) == ["NGX-KEEPALIVE-CLOSED"]
    assert rules_of(checked(text.replace("keepalive 3", "keepalive 0"))) == []


def test_a_header_that_would_drop_inherited_ones_is_not_put_in() -> None:
    outer = f"upstream x {{ keepalive 3; }}\nserver {{ {RIGHT} proxy_set_header A b;"
    text = f"{outer}\nlocation / {{\nproxy_pass http://x;\n}} }}"
    (finding,) = checked(text).findings
    assert finding.rule.id == "NGX-KEEPALIVE-CLOSED" and finding.edits == ()


def test_a_line_that_holds_more_than_one_setting_is_not_touched() -> None:
    found = checked("location / { proxy_pass http://x; proxy_buffering on; }")
    assert found.findings and all(finding.edits == () for finding in found.findings)


@pytest.mark.parametrize("text", ["grpc_pass grpc://x;", "proxy_pass ftp://x;", "return 200;"])
def test_what_proxies_no_http_is_not_judged(text: str) -> None:
    found = checked(f"location / {{ {text} }}")
    assert found.findings == [] and found.notes == ["nginx.conf proxies nothing over HTTP"]


def test_a_part_of_a_configuration_says_that_it_is_one() -> None:
    assert "is a part of a configuration" in checked("location / { proxy_pass $where; }").notes[0]
    assert checked(proxying("")).notes == []


def test_a_place_without_a_block_has_a_name_too() -> None:
    assert checked("proxy_pass http://x;").findings[0].said.startswith("this file has no `proxy_http_version 1.1`")


def test_a_short_limit_is_measured_in_pings() -> None:
    text = proxying("proxy_read_timeout 20s;")
    assert rules_of(checked(text)) == ["NGX-READ-TIMEOUT-SHORT"]
    assert rules_of(checked(text, ping_s=5)) == []
    assert rules_of(checked(proxying("proxy_read_timeout 400s;"), ping_s=100)) == []
    assert rules_of(checked(proxying("proxy_read_timeout $x;"))) == []


def test_a_retry_that_was_for_posts_alone_is_turned_off() -> None:
    (finding,) = checked(proxying("\nproxy_next_upstream non_idempotent;\n")).findings
    assert [edit.text for edit in finding.edits] == ["proxy_next_upstream off;"]


def test_a_rate_for_the_upstream_counts_only_where_the_reply_is_buffered() -> None:
    assert rules_of(checked(proxying("proxy_limit_rate 1k;"))) == []
    assert "NGX-LIMIT-RATE" in rules_of(checked("location / { proxy_pass http://x; proxy_limit_rate 1k; }"))
    assert rules_of(checked(proxying("limit_rate 1k;"))) == []
    assert "NGX-LIMIT-RATE" not in rules_of(checked("location / { proxy_pass http://x; limit_rate 0; }"))


def test_an_upstream_that_says_so_needs_no_line() -> None:
    text = "location / { proxy_pass http://x; }"
    found = check(Source("a", text), Assumptions(unbuffered=True))
    assert "NGX-BUFFERING" not in rules_of(found)
