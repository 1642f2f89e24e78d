"""In the real Traefik, with a real stream: the bad configuration of a rule does harm, the good and the fixed do not."""

import signal
from collections.abc import Callable

import pytest

from tests.doctor import streams
from tests.doctor.lint.cases import CASES
from tests.doctor.lint.test_proof import harm_of
from tests.doctor.lint.test_proof_more import gives_up_before_the_headers, is_cut_by

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

Harm = Callable[[str, str], bool]


def is_cut_by_a_stop(kind: str, text: str) -> bool:
    """Whether a stream ends soon after a stop."""
    return is_cut_by(signal.SIGTERM, kind, text)


HARMS: dict[str, Harm] = {
    "TRF-WRITE-TIMEOUT": streams.cuts_a_lively_stream,
    "TRF-BUFFERING": streams.holds_back,
    "TRF-RETRY-POST": streams.asks_twice,
    "TRF-HEADER-TIMEOUT": gives_up_before_the_headers,
    "TRF-GRACE": is_cut_by_a_stop,
}


@pytest.mark.parametrize(("rule", "harm"), HARMS.items(), ids=list(HARMS))
def test_the_bad_one_does_harm_and_the_good_and_the_fixed_do_not(rule: str, harm: Harm) -> None:
    harm_of(rule, harm, waits=True)


def test_limits_of_uploads_and_of_idle_connections_cut_no_stream() -> None:
    case = CASES["TRF-NOOP-TIMEOUTS"]
    assert '"600s"' in case.bad
    assert not streams.cuts_a_silence(case.kind, case.bad.replace('"600s"', '"1s"'))


def test_events_go_on_at_once_with_the_line_and_without() -> None:
    case = CASES["TRF-NOOP-FLUSH"]
    questions = [lambda text=text: streams.comes_in_batches(case.kind, text) for text in (case.bad, case.good)]
    assert streams.at_once(*questions) == [False, False]
