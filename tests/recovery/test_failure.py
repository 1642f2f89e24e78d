"""The tables of failures, and the status that each failure is raised with."""

from typing import get_args

import pytest
from anthropic._error_classes import ERROR_CLASSES
from anthropic.types.shared.error_type import ErrorType

from midstream.recovery.failure import (
    AWS_EXCEPTIONS,
    BREAKS,
    ERROR_CODES,
    ERROR_TYPES,
    STATUSES,
    Failure,
    Kind,
    Origin,
    Phase,
    kind_of_status,
    status_of,
)

NO_STATUS = [Kind.TRUNCATED, Kind.DISCONNECTED, Kind.UNREACHABLE, Kind.SILENT, Kind.STALLED]


def failure(kind: Kind, status: int | None = None) -> Failure:
    return Failure(kind, Phase.WAITING, Origin.SERVICE, status=status)


@pytest.mark.parametrize("status", sorted({status for status, _ in ERROR_CLASSES}))
def test_every_status_that_the_sdk_has_a_class_for_is_in_the_table(status: int) -> None:
    assert status in STATUSES


def test_every_error_type_that_the_sdk_knows_is_in_the_table() -> None:
    assert set(get_args(ErrorType)) <= set(ERROR_TYPES)


def test_every_exception_that_bedrock_models_is_in_the_table() -> None:
    """botocore's model of bedrock-runtime is the source of these names."""
    loaders = pytest.importorskip("botocore.loaders", reason="botocore, the source of the names, is not installed")
    model = loaders.Loader().load_service_model("bedrock-runtime", "service-2")
    names = {name for name, shape in model["shapes"].items() if shape.get("exception")}
    assert "ThrottlingException" in names
    assert names <= set(AWS_EXCEPTIONS)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.REJECTED),
        (401, Kind.REJECTED),
        (402, Kind.REJECTED),
        (403, Kind.REJECTED),
        (404, Kind.REJECTED),
        (408, Kind.TIMED_OUT),
        (409, Kind.SERVER_ERROR),
        (412, Kind.REJECTED),
        (413, Kind.REJECTED),
        (418, Kind.REJECTED),
        (422, Kind.REJECTED),
        (424, Kind.SERVER_ERROR),
        (429, Kind.RATE_LIMITED),
        (431, Kind.REJECTED),
        (499, Kind.REJECTED),
        (500, Kind.SERVER_ERROR),
        (501, Kind.SERVER_ERROR),
        (502, Kind.SERVER_ERROR),
        (503, Kind.OVERLOADED),
        (504, Kind.TIMED_OUT),
        (520, Kind.SERVER_ERROR),
        (524, Kind.SERVER_ERROR),
        (529, Kind.OVERLOADED),
        (599, Kind.SERVER_ERROR),
        (999, Kind.SERVER_ERROR),
        (307, Kind.REJECTED),
        (200, Kind.GARBLED),
        (204, Kind.GARBLED),
        (101, Kind.GARBLED),
        (0, Kind.GARBLED),
        (-1, Kind.GARBLED),
    ],
)
def test_a_status_has_its_kind(status: int, kind: Kind) -> None:
    assert kind_of_status(status) is kind


@pytest.mark.parametrize("status", [400, 408, 409, 413, 429, 499, 500, 501, 502, 503, 504, 529])
def test_what_the_sdk_tries_again_is_what_we_try_again(status: int) -> None:
    """anthropic 2.11, _base_client.py, _should_retry: 408, 409, 429 and everything from 500 on."""
    assert (kind_of_status(status) is not Kind.REJECTED) == (status in (408, 409, 429) or status >= 500)


@pytest.mark.parametrize(
    ("kind", "status", "raised"),
    [
        *((kind, 200, None) for kind in NO_STATUS),
        *((kind, None, None) for kind in NO_STATUS),
        (Kind.OVERLOADED, None, 529),
        (Kind.OVERLOADED, 200, 529),
        (Kind.OVERLOADED, 429, 529),
        (Kind.OVERLOADED, 529, 529),
        (Kind.OVERLOADED, 503, 503),
        (Kind.RATE_LIMITED, None, 429),
        (Kind.RATE_LIMITED, 200, 429),
        (Kind.RATE_LIMITED, 503, 429),
        (Kind.SERVER_ERROR, None, 500),
        (Kind.SERVER_ERROR, 200, 500),
        (Kind.SERVER_ERROR, 409, 409),
        (Kind.SERVER_ERROR, 502, 502),
        (Kind.TIMED_OUT, None, 504),
        (Kind.TIMED_OUT, 200, 504),
        (Kind.TIMED_OUT, 400, 504),
        (Kind.TIMED_OUT, 408, 408),
        (Kind.REJECTED, 413, 413),
        (Kind.REJECTED, 429, 429),
        (Kind.REJECTED, 307, 307),
        (Kind.REJECTED, 200, 400),
        (Kind.REJECTED, None, 400),
        (Kind.GARBLED, 200, 200),
        (Kind.GARBLED, None, None),
        (Kind.LIMIT, 200, 200),
        (Kind.LIMIT, None, None),
    ],
)
def test_the_raised_error_has_the_status_of_the_contract(kind: Kind, status: int | None, raised: int | None) -> None:
    """The contract, §5, second table."""
    assert status_of(failure(kind, status)) == raised


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("status", [None, 100, 200, 204])
def test_an_error_that_the_service_reported_is_never_raised_as_a_success(kind: Kind, status: int | None) -> None:
    raised = status_of(failure(kind, status))
    assert kind in (Kind.GARBLED, Kind.LIMIT) or raised is None or raised >= 400


@pytest.mark.parametrize(("kind", "status"), [*ERROR_TYPES.values(), *AWS_EXCEPTIONS.values()])
def test_the_status_of_a_table_is_the_one_that_is_raised(kind: Kind, status: int) -> None:
    assert status_of(failure(kind, status)) == status


def test_a_code_is_only_listed_where_it_changes_the_kind() -> None:
    assert all(kind_of_status(status) is not kind for (status, _), kind in ERROR_CODES.items())


def test_transport_failures_are_of_the_two_kinds_of_the_transport() -> None:
    assert set(BREAKS.values()) == {Kind.UNREACHABLE, Kind.DISCONNECTED}
