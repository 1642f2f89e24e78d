"""Varnish, beyond the pairs of its rules."""

import pytest

from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.varnish import check


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("vcl 4.1;\n# set beresp.do_gzip = true;", []),
        ("vcl 4.1;\nset bereq.between_bytes_timeout = 5s;", ["VCL-BETWEEN-BYTES"]),
        ("vcl 4.1;\nset bereq.first_byte_timeout = 600s;", []),
        ("varnishd -p send_timeout=60", ["VCL-SEND-TIMEOUT"]),
        ("varnishd \\\n -p send_timeout=3600", []),
        ('DAEMON_OPTS="-p feature=+http2 -p send_timeout=1h"', ["VCL-HTTP2"]),
        ("varnishd -p feature=+esi,+http2 -p send_timeout=x", ["VCL-HTTP2"]),
    ],
)
def test_what_stands_there_is_judged(text: str, rules: list[str]) -> None:
    assert [finding.rule.id for finding in check(Source("x", text), Assumptions()).findings] == rules


def test_a_shorter_stream_fits_into_the_default() -> None:
    assert check(Source("x", "varnishd -F"), Assumptions(stream_s=500)).findings == []


def test_what_is_on_the_command_line_is_not_known_from_vcl() -> None:
    assert "on its command line" in check(Source("x", "vcl 4.1;"), Assumptions()).notes[0]
    assert "neither holds VCL nor starts varnishd" in check(Source("x", ""), Assumptions()).notes[0]
