"""In the real proxy, with a real stream: the bad configuration of a rule does harm, the good and the fixed do not."""

from collections.abc import Callable

import pytest

from midstream.faults.server import FaultServer
from tests.doctor import streams
from tests.doctor.behind import behind
from tests.doctor.lint.cases import CASES
from tests.doctor.lint.test_cases import fixed
from tests.faults.raw import ask
from tests.proxies.programs import version

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
    "CAD-BUFFER": streams.holds_back,
    "CAD-BODY-SIZE": streams.refuses_a_large_prompt,
    "APA-HTTP10": streams.hides_a_cut,
    "APA-ERROR-OVERRIDE": replaces_errors,
    "LTD-BUFFERED": streams.holds_back,
    "VCL-NO-STREAM": streams.holds_back,
    "VCL-GZIP": holds_back_compressed,
}
SLOW: dict[str, Harm] = {
    "NGX-READ-TIMEOUT-SHORT": streams.cuts_between_pings,
    "HAP-TIMEOUT-SERVER": streams.cuts_between_pings,
    "CAD-READ-TIMEOUT-SHORT": streams.cuts_between_pings,
    "CAD-WRITE-TIMEOUT": streams.cuts_between_pings,
    "APA-TIMEOUT": streams.cuts_between_pings,
    "LTD-READ-TIMEOUT": streams.cuts_a_silence,
    "VCL-BETWEEN-BYTES": streams.cuts_between_pings,
}

# Lines that do nothing: what they are said to cure is there with them.
NOTHING: dict[str, Harm] = {
    "NGX-NOOP-TEMP-FILE": streams.holds_back,
    "NGX-NOOP-ACCEL": streams.holds_back,
    "NGX-NOOP-CONNECTION": streams.holds_back,
    "NGX-NOOP-CACHE": streams.holds_back,
    "NGX-NOOP-GZIP": streams.holds_back,
}

# From these versions on, the default is right.
CURED = {"NGX-HTTP10": ("nginx", (1, 29, 7)), **dict.fromkeys(NOTHING, ("nginx", (1, 29, 7)))}


def harm_of(rule: str, harm: Harm) -> None:
    """Asserts the rule's claim."""
    case = CASES[rule]
    if rule in CURED:
        program, cured = CURED[rule]
        if tuple(map(int, version(program).split("."))) >= cured:
            pytest.skip(f"{program} {version(program)} does it right by default")
    assert harm(case.kind, case.bad)
    assert not harm(case.kind, case.good)
    if (after := fixed(case)) != case.bad:
        assert not harm(case.kind, after)


@pytest.mark.parametrize(("rule", "harm"), HARMS.items(), ids=list(HARMS))
def test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not(rule: str, harm: Harm) -> None:
    harm_of(rule, harm)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "harm"), SLOW.items(), ids=list(SLOW))
def test_a_limit_of_silence_below_the_pings_cuts_and_one_above_does_not(rule: str, harm: Harm) -> None:
    harm_of(rule, harm)


@pytest.mark.parametrize(("rule", "harm"), NOTHING.items(), ids=list(NOTHING))
def test_a_line_that_is_said_to_help_does_not(rule: str, harm: Harm) -> None:
    program, cured = CURED[rule]
    if tuple(map(int, version(program).split("."))) >= cured:
        pytest.skip(f"{program} {version(program)} does it right by default")
    assert harm(CASES[rule].kind, CASES[rule].bad)


def test_a_limit_of_apache_refuses_no_prompt_that_is_proxied() -> None:
    case = CASES["APA-NOOP-BODY"]
    assert not streams.refuses_a_large_prompt(case.kind, case.bad)
