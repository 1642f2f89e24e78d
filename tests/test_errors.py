"""The exceptions that a user may catch."""

import pickle

import pytest

from midstream import errors
from midstream.errors import MissingExtra, PolicyError, StreamError


def test_a_missing_extra_says_which_and_how_to_get_it() -> None:
    error = MissingExtra("bedrock", "botocore")
    assert isinstance(error, ImportError)
    assert error.extra == "bedrock"
    assert "botocore is not installed" in str(error)
    assert "pip install 'midstream[bedrock]'" in str(error)


def test_the_tree_is_the_one_in_the_docstring() -> None:
    assert issubclass(PolicyError, ValueError)
    assert StreamError.__mro__[1] is Exception
    for name in errors.__all__:
        assert name in (errors.__doc__ or "")


def test_a_stream_error_says_what_it_carries() -> None:
    assert set(StreamError.__annotations__) == {
        "failure",
        "partial",
        "report",
        "unshown",
        "type",
        "status_code",
        "request_id",
    }
    assert pickle.loads(pickle.dumps(StreamError("sentence"))).args == ("sentence",)
    with pytest.raises(StreamError, match="sentence"):
        raise StreamError("sentence")
