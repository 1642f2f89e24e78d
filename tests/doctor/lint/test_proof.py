"""In the real proxy, with a real stream: the bad configuration of a rule does harm, the good and the fixed do not."""

from collections.abc import Callable

import pytest

from midstream.doctor.configs.templates import Wanted, filled
from midstream.doctor.lint import edits, run
from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.source import Source
from midstream.faults.server import FaultServer
from tests.doctor import streams
from tests.doctor.behind import behind, program_version
from tests.doctor.lint.cases import CASES
from tests.doctor.lint.test_cases import fixed
from tests.faults.raw import ask

pytestmark = [pytest.mark.sockets]

Harm = Callable[[str, str], bool]


def holds_back_compressed(kind: str, text: str) -> bool:
    """Events wait for a client that takes gzip."""
    return streams.holds_back(kind, text, accept_encoding="gzip")


def replaces_errors(kind: str, text: str) -> bool:
    """An error of the API does not reach the client as it is."""
    with FaultServer("always 529") as faults, behind(kind, text, faults.port) as base_url:
        return b"overloaded_error" not in ask(base_url, timeout_s=streams.DEADLINE_S).raw


# Rules whose harm shows in whatever version Debian ships, and at once.
HARMS: dict[str, Harm] = {
    "NGX-HTTP10": streams.hides_a_cut,
    "NGX-BUFFERING": streams.holds_back_a_large_event,
    "NGX-CHUNKED-OFF": streams.hides_a_cut,
    "NGX-GZIP": holds_back_compressed,
    "NGX-RETRY-POST": streams.asks_twice,
    "NGX-BODY-SIZE": streams.refuses_a_large_prompt,
    "NGX-CLIENT-ABORT": streams.forgets_that_the_client_left,
    "HAP-NO-DELAY": streams.comes_in_batches,
    "HAP-ABORTONCLOSE": streams.forgets_that_the_client_left,
    "HAP-RETRY-POST": streams.asks_twice,
    "HAP-H2-SILENT": streams.hides_a_cut_from_http2,
    "LTD-H2-SILENT": streams.hides_a_cut_from_http2,
    "CAD-BUFFER": streams.holds_back,
    "CAD-BODY-SIZE": streams.refuses_a_large_prompt,
    "APA-HTTP10": streams.hides_a_cut,
    "APA-ERROR-OVERRIDE": replaces_errors,
    "LTD-BUFFERED": streams.holds_back,
}
SLOW: dict[str, Harm] = {
    "NGX-READ-TIMEOUT-SHORT": streams.cuts_between_pings,
    "HAP-TIMEOUT-SERVER": streams.cuts_between_pings,
    "CAD-READ-TIMEOUT-SHORT": streams.cuts_between_pings,
    "CAD-WRITE-TIMEOUT": streams.cuts_between_pings,
    "APA-TIMEOUT": streams.cuts_between_pings,
    "LTD-READ-TIMEOUT": streams.cuts_a_silence,
    "VCL-BETWEEN-BYTES": streams.cuts_between_pings,
    # Varnish compiles what it reads, which takes seconds.
    "VCL-NO-STREAM": streams.holds_back,
    "VCL-GZIP": holds_back_compressed,
}

# Lines that do nothing: what they are said to cure is there with them.
NOTHING: dict[str, Harm] = {
    "NGX-NOOP-TEMP-FILE": streams.holds_back,
    "NGX-NOOP-ACCEL": streams.holds_back,
    "NGX-NOOP-CONNECTION": streams.holds_back,
    "NGX-NOOP-CACHE": streams.holds_back,
    "NGX-NOOP-GZIP": streams.holds_back,
}

# From these versions on the harm is not there.
CURED: dict[str, tuple[int, ...]] = {
    "NGX-HTTP10": (1, 29, 7),
    **dict.fromkeys(NOTHING, (1, 29, 7)),
    "HAP-H2-SILENT": (3, 0),
    "LTD-H2-SILENT": (1, 4, 85),
}


def skip_what_is_cured(rule: str) -> None:
    """No harm can be shown in a version that does none."""
    kind = CASES[rule].kind
    if rule in CURED and program_version(kind) >= CURED[rule]:
        pytest.skip(f"{kind} {program_version(kind)} does it right")


def is_fixed(rule: str) -> bool:
    """Whether `--fix` writes anything for it."""
    case = CASES[rule]
    found = run.check(Source("file", case.bad), case.assume, case.kind).findings
    return any(each.edits for each in found if each.rule.id == rule)


# What stands still for a second is a silent service to a proxy, and a machine may: what a proxy does wrong stays.
TRIES = 3


def harm_of(rule: str, harm: Harm, *, waits: bool = False) -> None:
    """Asserts the rule's claim; what waits is asked side by side."""
    case = CASES[rule]
    skip_what_is_cured(rule)
    cured = [case.good, *([fixed(case)] if is_fixed(rule) else [])]
    questions = [lambda text=text: harm(case.kind, text) for text in (case.bad, *cured)]
    claimed = [True, *(False for _ in cured)]
    for _ in range(TRIES if waits else 1):
        answers = streams.at_once(*questions) if waits else [question() for question in questions]
        if answers == claimed:
            break
    assert answers == claimed


@pytest.mark.parametrize(("rule", "harm"), HARMS.items(), ids=list(HARMS))
def test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not(rule: str, harm: Harm) -> None:
    harm_of(rule, harm)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "harm"), SLOW.items(), ids=list(SLOW))
def test_what_takes_seconds_does_harm_in_the_bad_one_alone(rule: str, harm: Harm) -> None:
    harm_of(rule, harm, waits=True)


@pytest.mark.parametrize(("rule", "harm"), NOTHING.items(), ids=list(NOTHING))
def test_a_line_that_is_said_to_help_does_not(rule: str, harm: Harm) -> None:
    skip_what_is_cured(rule)
    assert harm(CASES[rule].kind, CASES[rule].bad)


def test_a_limit_of_apache_refuses_no_prompt_that_is_proxied() -> None:
    case = CASES["APA-NOOP-BODY"]
    assert not streams.refuses_a_large_prompt(case.kind, case.bad)


@pytest.mark.slow
def test_varnish_hides_a_cut_from_http2_alone() -> None:
    text = "# -p feature=+http2\n" + CASES["VCL-NO-STREAM"].good
    assert streams.hides_a_cut_from_http2("varnish", text)
    assert not streams.hides_a_cut("varnish", text)


# --- Envoy: its configurations are long, so that each bad one is the right one with a line made wrong ---

RIGHT = filled("envoy", Wanted())
BUFFER = """\
                http_filters:
                  - name: envoy.filters.http.buffer
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
                      max_request_bytes: 1048576
"""
RETRY = """\
                            cluster: upstream
                            retry_policy:
                              retry_on: reset
"""
DURATION = """\
                common_http_protocol_options:
                  max_stream_duration: 1s
                http_filters:
"""
ENVOY: dict[str, tuple[str, str, Harm]] = {
    "ENV-ROUTE-TIMEOUT": ("timeout: 0s", "timeout: 1s", streams.cuts_a_lively_stream),
    "ENV-MAX-DURATION": (" " * 16 + "http_filters:\n", DURATION, streams.cuts_a_lively_stream),
    "ENV-RETRY-POST": (" " * 28 + "cluster: upstream\n", RETRY, streams.asks_twice),
    "ENV-BODY-SIZE": (" " * 16 + "http_filters:\n", BUFFER, streams.refuses_a_large_prompt),
    "ENV-IDLE-TIMEOUT": ("idle_timeout: 120s", "idle_timeout: 1s", streams.cuts_between_pings),
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", ENVOY)
def test_a_line_of_envoy_made_wrong_does_harm_and_fix_cures_it(rule: str) -> None:
    right, wrong, harm = ENVOY[rule]
    assert RIGHT.count(right) == 1
    bad = RIGHT.replace(right, wrong)
    found = run.check(Source("envoy.yaml", bad), Assumptions()).findings
    assert [finding.rule.id for finding in found] == [rule]
    edited = [edit for finding in found for edit in finding.edits]
    cured = [RIGHT, *(["\n".join(edits.applied(bad.split("\n"), edited))] if edited else [])]
    questions = [lambda text=text: harm("envoy", text) for text in (bad, *cured)]
    assert streams.at_once(*questions) == [True, *(False for _ in cured)]


@pytest.mark.slow
def test_varnish_gives_a_whole_reply_so_long_however_lively_it_is() -> None:
    text = CASES["VCL-NO-STREAM"].good
    assert streams.cuts_a_lively_stream("varnish", f"# -p send_timeout=1\n{text}")
    assert not streams.cuts_a_lively_stream("varnish", f"# -p send_timeout=3600\n{text}")
