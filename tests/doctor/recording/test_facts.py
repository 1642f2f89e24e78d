"""The words of a recording."""

from midstream.doctor.recording.facts import Arrived, Asked, How


def test_contents_and_credentials_do_not_stand_in_what_is_printed_of_a_fact() -> None:
    asked = Asked("POST", "https://x/?key=abc", {"x-api-key": "sk-ant-secret"}, body=b"the prompt")
    assert "secret" not in repr(asked) and "prompt" not in repr(asked) and "abc" not in repr(asked)
    assert "reply" not in repr(Arrived(b"the reply"))


def test_every_way_to_end_has_its_own_word() -> None:
    assert len({how.value for how in How}) == len(How)
