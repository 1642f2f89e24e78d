"""``midstream record``: what it writes, and with which status it leaves."""

import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from midstream.cli.main import main
from midstream.faults.server import FaultServer

COMMANDS = ["midstream.cli.record", "midstream.cli.diagnose"]
ASKED = '{"stream":true,"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}'
KEY = "sk-ant-api03-abcdefghij"

pytestmark = pytest.mark.sockets


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_url_is_recorded_and_the_recording_diagnosed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "body.json").write_text(ASKED)
    with FaultServer("cut-fin@event=9") as server:
        words = [f"{server.url}/v1/messages", "-H", f"x-api-key: {KEY}", "-d", "@body.json", "-o", "reply.jsonl"]
        assert main(["record", *words], COMMANDS) == 0
    assert "midstream diagnose reply.jsonl" in capsys.readouterr().err
    assert KEY not in (tmp_path / "reply.jsonl").read_text()
    assert main(["diagnose", "--json", "reply.jsonl"], COMMANDS) == 1
    (stream,) = json.loads(capsys.readouterr().out)["streams"]
    assert (stream["outcome"], stream["event"], stream["ended"]["how"]) == ("truncated", 9, "incomplete")


def test_without_a_name_the_recording_gets_one(tmp_path: Path) -> None:
    with FaultServer("ok") as server:
        assert main(["record", f"{server.url}/v1/messages", "-d", ASKED], COMMANDS) == 0
    (path,) = tmp_path.glob("recording-*.jsonl")
    asked = json.loads(path.read_text().splitlines()[1])["asked"]
    assert asked["method"] == "POST" and asked["headers"] == {"content-type": "application/json"}


def test_two_recordings_of_one_second_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    with FaultServer("ok") as server:
        for _ in range(3):
            assert main(["record", f"{server.url}/v1/messages", "-d", ASKED], COMMANDS) == 0
    assert len(list(tmp_path.glob("recording-*.jsonl"))) == 3


def test_where_nothing_can_be_written_nothing_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("none/a.jsonl", str(tmp_path)):
        assert main(["record", "http://127.0.0.1:1/", "-f", "-o", name], COMMANDS) == 2
        assert f"{name} cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("curl") is None and os.environ.get("CI") != "true", reason="curl is not installed")
def test_curl_leaves_with_its_own_status(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FaultServer("cut-fin@event=9") as server:
        curl = ["curl", "--noproxy", "*", "-sN", f"{server.url}/v1/messages", "-d", ASKED]
        assert main(["record", "-o", "reply.jsonl", "--", *curl], COMMANDS) == 18
    out, err = capfd.readouterr()
    assert out.startswith("event: message_start") and "curl: (18)" in err
    assert main(["diagnose", "reply.jsonl"], COMMANDS) == 1


def test_nobody_there_is_1(tmp_path: Path) -> None:
    assert main(["record", "http://127.0.0.1:1/", "-o", "x.jsonl"], COMMANDS) == 1
    assert main(["diagnose", "x.jsonl"], COMMANDS) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "say what to record"),
        (["wget", "http://x"], "must be a curl command"),
        (["http://user:pw@x/"], "without a user"),
        (["http://x", "y"], "one URL"),
        (["http://x", "-H", "nonsense"], "a header is"),
        (["http://x", "-H", "a: b\r\nc: d"], "a header is"),
        (["http://x", "-d", "@nowhere"], "nowhere: No such file"),
        (["http://x", "-X", "GET /"], "a method is"),
        (["http://x", "--idle", "0"], "--idle"),
        (["http://x", "--seconds", "nan"], "--seconds"),
        (["http://x", "-o", "there.jsonl"], "--force"),
    ],
)
def test_misuse_is_one_sentence_and_leaves_nothing_behind(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.jsonl").write_text("kept")
    assert main(["record", *words], COMMANDS) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.jsonl"]
    assert (tmp_path / "there.jsonl").read_text() == "kept"


def test_a_request_larger_than_any_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("midstream.cli.record.BODY_BYTES_MAX", 10)
    (tmp_path / "body.json").write_text(ASKED)
    assert main(["record", "http://x", "-d", "@body.json"], COMMANDS) == 2
    assert "larger" in capsys.readouterr().err


def test_a_file_is_written_over_only_by_force(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("old")
    with FaultServer("ok") as server:
        assert main(["record", "--force", "-o", "x.jsonl", f"{server.url}/v1/messages", "-d", ASKED], COMMANDS) == 0
    assert (tmp_path / "x.jsonl").read_text().startswith('{"midstream')


class Echo(BaseHTTPRequestHandler):
    """Repeats what it was asked with, as servers for debugging do."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))  # what is not read resets the connection
        body = str(self.headers).encode() + self.path.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("with_curl", [False, True])
def test_a_reply_that_repeats_the_key_does_not_bring_it_into_the_recording(tmp_path: Path, with_curl: bool) -> None:
    if with_curl and shutil.which("curl") is None and os.environ.get("CI") != "true":
        pytest.skip("curl is not installed")
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/v1?api_key=query-secret-1"
            asked = ["-H", f"x-api-key: {KEY}", "-d", ASKED]
            words = ["--", "curl", "--noproxy", "*", "-sN", url, *asked] if with_curl else [url, *asked]
            assert main(["record", "-o", "a.jsonl", *words], COMMANDS) == 0
        finally:
            server.shutdown()
            thread.join()
    written = (tmp_path / "a.jsonl").read_text()
    assert '"how": "clean"' in written, "whoever closes the socket when the last byte is there"
    assert KEY not in written and "query-secret-1" not in written and f"x-api-key: {'*' * len(KEY)}" in written
