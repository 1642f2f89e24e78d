"""What is given replaces what is usual."""

from midstream.doctor.probe.request import Request


def test_a_question_says_how_long_it_is_and_what_it_bears() -> None:
    headers = dict(Request(b"{}").all_headers())
    assert headers["content-length"] == "2" and headers["accept-encoding"] == "identity"
    assert dict(Request(gzip=True).all_headers())["accept-encoding"] == "gzip"


def test_a_header_that_is_given_comes_instead_of_the_usual_one() -> None:
    headers = Request(headers=(("Accept", "x/y"), ("X-Key", "1"))).all_headers()
    assert [value for name, value in headers if name == "accept"] == ["x/y"] and ("x-key", "1") in headers
