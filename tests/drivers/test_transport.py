"""The two ports: one shape, sync and async, that every transport of ours has."""

import inspect

import pytest

from midstream.drivers.transport import AsyncTransport, Transport
from midstream.faults.transport import AsyncScriptedTransport, ScriptedTransport
from midstream.recovery.steps import Broke, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Wait

METHODS = ("perform", "finish", "close")


def test_the_two_ports_are_one_and_the_same_but_for_await() -> None:
    for name in METHODS:
        sync, awaited = getattr(Transport, name), getattr(AsyncTransport, name)
        assert inspect.signature(sync) == inspect.signature(awaited)
        assert not inspect.iscoroutinefunction(sync)
        assert inspect.iscoroutinefunction(awaited)
    for port in (Transport, AsyncTransport):
        assert {name for name in vars(port) if not name.startswith("_")} == set(METHODS)
    hints = inspect.get_annotations(Transport.perform, eval_str=True)
    assert (hints["wait"], hints["return"]) == (Wait, Input)


@pytest.mark.parametrize("name", ["perform", "finish", "close"])
@pytest.mark.parametrize(("port", "player"), [(Transport, ScriptedTransport), (AsyncTransport, AsyncScriptedTransport)])
def test_the_player_in_the_process_has_the_port(port: type, player: type, name: str) -> None:
    method = getattr(player, name)
    assert inspect.iscoroutinefunction(method) is (port is AsyncTransport)
    assert list(inspect.signature(method).parameters) == list(inspect.signature(getattr(port, name)).parameters)


@pytest.mark.parametrize(
    ("script", "last"),
    [("ok", Ended), ("cut-rst@event=3", Broke), ("silence@event=3", Elapsed), ("cut-fin@event=3", Broke)],
)
def test_a_transport_says_what_happened_in_the_words_of_the_steps(script: str, last: type) -> None:
    player = ScriptedTransport(script, rules="off")
    assert isinstance(player.perform(Open(None, 180.0, 5.0)), Opened)
    heard: Input = Opened(200, {})
    while not isinstance(heard, Ended | Broke | Elapsed):
        heard = player.perform(Read(player.now + 60.0))
        assert isinstance(heard, Received | last)
    assert isinstance(heard, last)


def test_elapsed_is_never_reported_early() -> None:
    player = ScriptedTransport("silence@event=3", rules="off")
    assert player.perform(Sleep(7.0)) == Elapsed()
    assert player.now == 7.0
    player.perform(Open(None, 180.0, 5.0))
    while not isinstance(player.perform(Read(50.0)), Elapsed):
        assert player.now < 50.0
    assert player.now == 50.0


def test_a_port_is_a_shape_and_does_nothing() -> None:
    class Nothing(Transport): ...

    class Never(AsyncTransport): ...

    assert Nothing().perform(Sleep(1.0)) is None  # type: ignore[func-returns-value]
    Nothing().finish()
    Nothing().close()
    for waiting in (Never().perform(Sleep(1.0)), Never().finish(), Never().close()):
        with pytest.raises(StopIteration):
            waiting.send(None)
