"""The limits that are known, and how a span of time is told to be one of them."""

import pytest

from midstream.doctor.diagnose.fingerprints import LIMITS, Kind, hints_of, matching, settings_on_the_way


def whose(seconds: float, kind: Kind, hints: str = "") -> list[str]:
    return [limit.whose for limit in matching(seconds, kind, hints)]


def test_each_limit_is_found_by_its_own_length_and_not_by_a_length_far_off() -> None:
    for one in LIMITS:
        assert one in matching(one.seconds, one.kind) and one in matching(one.seconds + 1.0, one.kind)
        assert one not in matching(one.seconds * 1.3 + 2, one.kind) and one not in matching(
            one.seconds * 0.7 - 1, one.kind
        )


# What was measured (proxy-facts §3.2): who, kind, at which second the client saw it.
MEASURED: list[tuple[str, Kind, float]] = [
    ("nginx", "idle", 60.0),
    ("HAProxy as Debian configures it", "idle", 50.1),
    ("Apache", "idle", 60.1),
    ("Envoy, Envoy Gateway", "total", 15.0),
    ("Envoy, Envoy Gateway", "total", 16.0),
    ("Varnish", "idle", 61.4),
    ("Apache Traffic Server", "idle", 30.6),
    ("nghttpx", "idle", 60.1),
    ("h2o", "idle", 30.1),
]


@pytest.mark.parametrize(("name", "kind", "seconds"), MEASURED)
def test_every_default_that_was_measured_is_recognised(name: str, kind: Kind, seconds: float) -> None:
    assert name in whose(seconds, kind)


def test_who_is_named_by_the_reply_comes_first() -> None:
    hints = hints_of({"server": "Apache/2.4", "via": "1.1 varnish", "x-other": "1"})
    assert whose(60.0, "idle", hints)[:2] == ["Apache", "Varnish"]
    assert whose(60.0, "idle", hints_of({"cf-ray": "1", "server": "awselb/2.0"}))[0] == "AWS ALB"


def test_limits_of_any_length_are_known_of_who_is_named() -> None:
    assert [limit.setting for limit in settings_on_the_way("idle", hints_of({"server": "nginx"}))] == [
        "proxy_read_timeout"
    ]
    assert not settings_on_the_way("idle", "")
    assert not matching(3.0, "idle")
