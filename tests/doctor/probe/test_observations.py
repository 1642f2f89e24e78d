"""Every stream that was played is among those that are looked through for names."""

from tests.doctor.probe.made import FINE_LADDER, HEALTHY, changed, delivery


def test_all_streams_are_there_and_what_was_not_asked_is_not() -> None:
    # delivery, packed, tail, two cuts, silence, pings, flow, before, leaving
    assert len(list(HEALTHY.streams())) == 10
    assert len(list(changed(hinted=delivery(), ladder=FINE_LADDER).streams())) == 12
    assert len(list(changed(leaving=None, pings=None).streams())) == 8
