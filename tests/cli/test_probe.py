"""``midstream probe`` as a person meets it: both ends on this machine, what it prints, and how it ends."""

import json
import re

import pytest

from midstream.cli.main import main
from midstream.faults.probe import FarEnd
from midstream.faults.server import FaultServer
from tests.cli.test_faults import running
from tests.proxies.processes import free_port

ONLY = ("midstream.cli.probe",)

pytestmark = pytest.mark.sockets


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["probe", *arguments], ONLY)
    out, err = capsys.readouterr()
    return status, out, err


def test_both_ends_on_this_machine_and_nothing_between(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    place = f"127.0.0.1:{port}"
    status, out, err = told(capsys, f"http://{place}/v1", "--far-end", place, "--up-to", "3", "--http1")
    assert status == 0, out
    assert out.startswith("good: a stream comes through as it left") and "idle limit" in out
    assert "a far end answers, over http/1.1" in err and "of about" in err


def test_a_port_that_is_taken_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with FarEnd() as far_end:
        place = far_end.url.removeprefix("http://").rstrip("/")
        status, out, err = told(capsys, far_end.url, "--far-end", place)
    assert (status, out) == (1, "")
    assert err == f"midstream probe: no far end can listen at {place}: Address already in use\n"


def test_a_host_that_is_none_is_told_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDSTREAM_PROBE_TOKEN", "token-of-a-test")
    status, _, err = told(capsys, "http://127.0.0.1:9", "--far-end", "nosuch.invalid:8788")
    assert status == 1
    assert err.startswith("midstream probe: no far end can listen at nosuch.invalid:8788: ")
    assert "nknown error" not in err and "Errno" not in err


def test_as_json_it_holds_figures_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with FarEnd() as far_end:
        status, out, _ = told(capsys, far_end.url, "--up-to", "3", "--json", "--header", "X-Key: sk-ant-secret12345")
    measured = json.loads(out)["measured"]
    assert status == 0 and measured["idle_limits"] == [] and measured["delivery"][0]["manner"] == "at once"
    assert "secret12345" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ftp://x"], "an address to probe starts with http"),
        (["http://x", "--up-to", "1"], "--up-to is a number of seconds from 3 to 3600"),
        (["http://x", "--up-to", "nan"], "--up-to is a number of seconds"),
        (["http://x", "--up-to", "9", "--quick"], "exclude each other"),
        (["http://x", "--header", "nothing"], "--header is 'NAME: VALUE'"),
        (["http://x", "--header", "a b: c"], "--header is 'NAME: VALUE'"),
        (["http://x", "--header", "a: b\r\nc: d"], "--header is 'NAME: VALUE'"),
        (["http://x", "--far-end", "8788"], "--far-end is HOST:PORT"),
        (["http://x", "--key-env", "NOBODY_SET_THIS"], "NOBODY_SET_THIS is not set"),
        (["http://x", "--key-env", "HOME", "--far-end", "127.0.0.1:1"], "exclude each other"),
        (["http://x", "--far-end", "0.0.0.0:8788"], "needs a token: set MIDSTREAM_PROBE_TOKEN"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    status, out, err = told(capsys, *arguments)
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1


def test_with_a_key_the_api_itself_is_asked_and_the_key_is_not_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "a-secret-of-no-known-form\n")
    with FaultServer(pace_s=0.01) as server:
        status, out, err = told(capsys, server.url, "--key-env", "SOME_KEY", "--quick", "--json")
    assert status == 0 and "one side" in json.loads(out)["verdict"] and "a-secret" not in out + err
    monkeypatch.setenv("SOME_KEY", "two\nlines")
    status, _, err = told(capsys, "http://x", "--key-env", "SOME_KEY")
    assert status == 2 and "is no key" in err and "two" not in err


def test_where_nobody_answers_is_one_sentence_that_says_what_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, "http://127.0.0.1:1")
    assert (status, out) == (1, "") and "no connection to 127.0.0.1:1" in err and "midstream faults --probe" in err
    assert err.count("\n") == 1


def test_a_far_end_of_the_command_line_answers_who_has_its_token(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDSTREAM_PROBE_TOKEN", "shared-secret")
    with running("--probe") as (_, url):
        monkeypatch.setenv("MIDSTREAM_PROBE_TOKEN", "another")
        status, _, err = told(capsys, url, "--up-to", "3", "--http1")
        assert status == 1 and "the far end refuses" in err and "shared-secret" not in err
        monkeypatch.setenv("MIDSTREAM_PROBE_TOKEN", "shared-secret")
        assert told(capsys, url, "--up-to", "3", "--http1")[0] == 0


def test_a_far_end_that_others_can_reach_makes_a_token_and_says_it_once() -> None:
    import subprocess
    import sys

    from tests.cli.test_faults import PROGRAM

    command = [sys.executable, "-uc", PROGRAM, "faults", "--port", "0", "--host", "0.0.0.0", "--probe"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(3)]
    finally:
        program.kill()
        program.communicate()
    assert (
        re.fullmatch(r"export MIDSTREAM_PROBE_TOKEN=[\w-]{32}\n", lines[1]) and "the far end of a probe at" in lines[2]
    )
