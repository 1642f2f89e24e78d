"""A credential that the reply repeats gets stars, and no byte loses its place."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.record.masking import LENGTH_MIN, Masking, of_curl, of_request

KEY = "sk-ant-api03-abcdefghij"


def masked(text: bytes, *cuts: int, secrets: tuple[str, ...] = (KEY,)) -> bytes:
    masking, places = Masking(secrets), [0, *sorted(cuts), len(text)]
    pieces = [text[begin:end] for begin, end in itertools.pairwise(places)]
    written = [masking.mask(piece) for piece in pieces]
    assert [len(piece) for piece in written] == [len(piece) for piece in pieces]
    return b"".join(written)


def test_stars_stand_over_it_as_many_as_it_has_letters() -> None:
    assert masked(b"key " + KEY.encode() + b" is wrong") == b"key " + b"*" * len(KEY) + b" is wrong"
    assert masked(b"nothing", secrets=()) == b"nothing"
    assert masked(b"short", secrets=("short",)) == b"short"


@given(cuts=st.lists(st.integers(0, len(KEY) + 8), max_size=6))
def test_of_one_that_comes_in_pieces_nothing_but_its_first_letters_is_written(cuts: list[int]) -> None:
    written = masked(b"say " + KEY.encode() + b" !!!", *cuts)
    assert written.startswith(b"say ") and written.endswith(b" !!!")
    assert set(written[4 + LENGTH_MIN - 1 : 4 + len(KEY)]) == {ord("*")}


@given(text=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_what_holds_no_credential_stays_as_it_is(text: bytes, cuts: list[int]) -> None:
    if KEY[:LENGTH_MIN].encode() not in text:
        assert masked(text, *(min(cut, len(text)) for cut in cuts)) == text


@given(cuts=st.lists(st.integers(0, 24), max_size=24))
def test_what_begins_like_one_and_goes_on_otherwise_is_left_alone(cuts: list[int]) -> None:
    assert masked(b"sk-ant is how keys begin", *cuts) == b"sk-ant is how keys begin"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["curl", "-H", f"x-api-key: {KEY}"], {KEY}),
        (["curl", f"-Hauthorization: Bearer {KEY}"], {f"Bearer {KEY}", KEY}),
        (["curl", "--header", "accept: text/event-stream"], set()),
        (["curl", "-u", "user:password9"], {"password9"}),
        (["curl", "--oauth2-bearer", KEY], {KEY}),
        (["curl", f"https://h/v1?api_key={KEY}&x=1"], {KEY}),
        (["curl", "https://[h", "-H"], set()),
        (["curl", "https://user:password9@h/"], {"password9"}),
    ],
)
def test_the_credentials_of_a_curl_command(words: list[str], expected: set[str]) -> None:
    assert {each for each in of_curl(words) if each} == expected


def test_the_credentials_of_a_request() -> None:
    found = of_request([("X-Api-Key", KEY), ("accept", "x")], f"http://h/?key={KEY}2&a=b")
    assert {each for each in found if each} == {KEY, f"{KEY}2"}
