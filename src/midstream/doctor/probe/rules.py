"""From a symptom and a family to the rules of lint, which say what to change in its configuration.

Rule: a table, and lint has every rule that is named here: its test says so.
"""

from collections.abc import Iterable
from typing import Literal

from midstream.doctor.probe.families import Fit

Symptom = Literal[
    "held back", "compression", "gathered", "tail", "silent", "hang", "lost", "idle", "total", "before", "body", "leave"
]

RULES: dict[tuple[str, Symptom], tuple[str, ...]] = {
    ("nginx", "held back"): ("NGX-HTTP10", "NGX-BUFFERING"),
    ("nginx", "compression"): ("NGX-GZIP",),
    ("nginx", "tail"): ("NGX-BUFFERING",),
    ("nginx", "silent"): ("NGX-HTTP10", "NGX-CHUNKED-OFF"),
    ("nginx", "lost"): ("NGX-BUFFERING", "NGX-HTTP10"),
    ("nginx", "idle"): ("NGX-READ-TIMEOUT-SHORT",),
    ("nginx", "before"): ("NGX-READ-TIMEOUT-SHORT",),
    ("nginx", "body"): ("NGX-BODY-SIZE",),
    ("nginx", "leave"): ("NGX-CLIENT-ABORT",),
    ("haproxy", "gathered"): ("HAP-NO-DELAY",),
    ("haproxy", "compression"): ("HAP-COMPRESSION",),
    ("haproxy", "silent"): ("HAP-H2-SILENT",),
    ("haproxy", "idle"): ("HAP-TIMEOUT-SERVER",),
    ("haproxy", "before"): ("HAP-TIMEOUT-SERVER",),
    ("haproxy", "leave"): ("HAP-ABORTONCLOSE",),
    ("caddy", "held back"): ("CAD-BUFFER",),
    ("caddy", "silent"): ("CAD-SILENT",),
    ("caddy", "total"): ("CAD-WRITE-TIMEOUT",),
    ("caddy", "idle"): ("CAD-READ-TIMEOUT-SHORT",),
    ("caddy", "before"): ("CAD-HEADER-TIMEOUT",),
    ("caddy", "body"): ("CAD-BODY-SIZE",),
    ("apache", "silent"): ("APA-HTTP10",),
    ("apache", "idle"): ("APA-TIMEOUT",),
    ("apache", "before"): ("APA-TIMEOUT",),
    ("envoy", "total"): ("ENV-ROUTE-TIMEOUT", "ENV-MAX-DURATION"),
    ("envoy", "idle"): ("ENV-IDLE-TIMEOUT",),
    ("envoy", "before"): ("ENV-ROUTE-TIMEOUT", "ENV-IDLE-TIMEOUT"),
    ("envoy", "body"): ("ENV-BODY-SIZE",),
    ("lighttpd", "held back"): ("LTD-BUFFERED",),
    ("lighttpd", "lost"): ("LTD-BUFFERED",),
    ("lighttpd", "leave"): ("LTD-BUFFERED",),
    ("lighttpd", "silent"): ("LTD-H2-SILENT", "LTD-BUFFERED"),
    ("lighttpd", "idle"): ("LTD-READ-TIMEOUT",),
    ("lighttpd", "before"): ("LTD-READ-TIMEOUT",),
    ("varnish", "held back"): ("VCL-NO-STREAM",),
    ("varnish", "compression"): ("VCL-GZIP",),
    ("varnish", "lost"): ("VCL-NO-STREAM", "VCL-GZIP"),
    ("varnish", "silent"): ("VCL-HTTP2",),
    ("varnish", "total"): ("VCL-SEND-TIMEOUT",),
    ("varnish", "idle"): ("VCL-BETWEEN-BYTES",),
    ("varnish", "before"): ("VCL-FIRST-BYTE",),
}


def rules_for(symptom: Symptom, fits: Iterable[Fit]) -> tuple[str, ...]:
    """The rules to apply, of the families that fit."""
    named = [rule for fit in fits for rule in RULES.get((fit.family, symptom), ())]
    return tuple(dict.fromkeys(named))
