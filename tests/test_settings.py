"""An explicit argument beats the environment, which beats the default (the contract, §9)."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import pytest

from midstream.recovery import policy as pure
from midstream.recovery.policy_values import PolicyError
from midstream.settings import Policy


def test_without_either_it_is_the_default() -> None:
    policy = Policy()
    assert isinstance(policy, pure.Policy)
    assert (policy.silence_s, policy.attempts, policy.tools) == (180.0, 4, "hold")
    assert policy == Policy()


def test_the_environment_beats_the_default_and_an_argument_beats_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDSTREAM_SILENCE_S", "20")
    monkeypatch.setenv("MIDSTREAM_CONTINUE_TEXT", "no")
    assert Policy().silence_s == 20.0
    assert Policy().continue_text is False
    assert Policy(silence_s=30).silence_s == 30.0
    assert pure.Policy().silence_s == 180.0, "the core does not read the environment"


def test_it_is_read_when_the_policy_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy()
    monkeypatch.setenv("MIDSTREAM_ATTEMPTS", "2")
    assert (policy.attempts, Policy().attempts) == (4, 2)


def test_a_bad_value_is_blamed_on_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolicyError, match=r"attempts must be .* it is 0"):
        Policy(attempts=0)
    monkeypatch.setenv("MIDSTREAM_ATTEMPTS", "many")
    with pytest.raises(PolicyError, match="MIDSTREAM_ATTEMPTS"):
        Policy()
    assert Policy(attempts=3).attempts == 3, "a variable that is beaten is not read"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(TypeError, match="silence"):
        Policy(silence=3)


def test_it_is_frozen_and_can_be_copied_and_pickled() -> None:
    policy = Policy(attempts=2)
    with pytest.raises(FrozenInstanceError):
        policy.attempts = 3
    assert copy.copy(policy) == policy
    assert copy.deepcopy(policy) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_it_is_told_by_its_public_name() -> None:
    assert Policy.__module__ == "midstream"
    assert repr(Policy(attempts=2)).startswith("Policy(attempts=2")
