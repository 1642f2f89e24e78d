"""Somebody's curl is run as it is, and what it prints is timed."""

import io
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from midstream.doctor.diagnose.run import Examined, examine
from midstream.doctor.record.running import ADDED, NoCurl, record
from midstream.doctor.record.writer import Bounds, Writer
from midstream.doctor.recording.facts import How
from midstream.faults.server import FaultServer

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(shutil.which("curl") is None and os.environ.get("CI") != "true", reason="curl is not installed"),
]

ASKED = '{"stream":true,"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}'
LOCAL = ["curl", "--noproxy", "*", "-N", "-s"]


def run(words: list[str], bounds: Bounds | None = None) -> tuple[int, bytes, bytes, Examined, Writer]:
    lines, out, err = io.StringIO(), io.BytesIO(), io.BytesIO()
    writer = Writer(lines)
    status = record(words, writer, out, err, bounds)
    return status, out.getvalue(), err.getvalue(), examine(io.BytesIO(lines.getvalue().encode())), writer


def asking(server: FaultServer, *more: str) -> list[str]:
    return [*LOCAL, *more, f"{server.url}/v1/messages", "-H", "x-api-key: sk-ant-secret", "-d", ASKED]


def test_the_reply_goes_through_and_stands_in_the_recording() -> None:
    with FaultServer("ok") as server:
        status, out, err, examined, writer = run(asking(server))
    (one,) = examined.diagnoses
    assert status == 0 and one.healthy and len(out) == writer.bytes == examined.bytes and out.startswith(b"event: ")
    assert err == b"" and one.head is not None and one.head.status == 200 and one.timing is not None


def test_who_asks_for_the_headers_sees_them() -> None:
    with FaultServer("ok") as server:
        status, out, _, examined, writer = run(asking(server, "-i"))
    assert status == 0 and out.startswith(b"HTTP/1.1 200") and len(out) > writer.bytes
    assert examined.diagnoses[0].healthy


@pytest.mark.parametrize(
    ("script", "status", "how"), [("cut-fin@event=9", 18, How.INCOMPLETE), ("cut-rst@event=9", 56, How.RESET)]
)
def test_the_exit_status_of_curl_is_evidence_and_is_passed_on(script: str, status: int, how: How) -> None:
    with FaultServer(script) as server:
        left, _, err, examined, writer = run(asking(server))
    assert left == status and b"curl: (%d)" % status in err
    assert writer.finished is not None and (writer.finished.how, writer.finished.code) == (how, status)
    assert examined.diagnoses[0].outcome.value == "truncated"


def test_a_timeout_of_curls_is_the_clients() -> None:
    with FaultServer("silence@event=9") as server:
        status, _, _, examined, writer = run(asking(server, "-m", "1"))
    assert status == 28 and writer.finished is not None and writer.finished.how is How.TIMEOUT
    assert examined.diagnoses[0].timing is not None


def test_an_error_status_is_recorded_with_its_body() -> None:
    with FaultServer("529") as server:
        _, out, _, examined, _ = run(asking(server))
    (one,) = examined.diagnoses
    assert one.head is not None and one.head.status == 529 and b"overloaded_error" in out


def test_nobody_there(tmp_path: Path) -> None:
    status, _, _, examined, writer = run([*LOCAL, "http://127.0.0.1:1/"])
    assert status == 7 and writer.finished is not None and writer.finished.how is How.NO_ANSWER
    assert examined.diagnoses[0].outcome.value == "truncated"


def test_a_body_that_goes_elsewhere_is_said(tmp_path: Path) -> None:
    with FaultServer("ok") as server:
        status, out, _, examined, _ = run(asking(server, "-o", str(tmp_path / "reply")))
    assert status == 0 and out == b"" and any("elsewhere" in remark for remark in examined.remarks)


@pytest.mark.parametrize("bounds", [Bounds(seconds=1.0), Bounds(bytes=500)])
def test_curl_is_stopped_at_the_bounds(bounds: Bounds) -> None:
    with FaultServer("silence@event=30") as server:
        began = time.monotonic()
        _, _, _, _, writer = run(asking(server), bounds)
    assert writer.finished is not None and writer.finished.how is How.STOPPED and time.monotonic() - began < 60


def test_an_interrupt_ends_curl_and_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("midstream.doctor.record.running._Run._read", interrupted)
    lines = io.StringIO()
    with FaultServer("silence@event=9") as server, pytest.raises(KeyboardInterrupt):
        record(asking(server), Writer(lines), io.BytesIO(), io.BytesIO())
    assert '"how": "stopped"' in lines.getvalue()


def test_whatever_goes_wrong_here_leaves_no_curl_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("midstream.doctor.record.running._Run._read", broken)
    with FaultServer("silence@event=9") as server, pytest.raises(RuntimeError):
        record(asking(server), Writer(io.StringIO()), io.BytesIO(), io.BytesIO())


def test_a_reader_that_leaves_ends_it() -> None:
    class Closed(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    writer = Writer(io.StringIO())
    with FaultServer("silence@event=9") as server:
        record(asking(server), writer, Closed(), io.BytesIO())
    assert writer.finished is not None and writer.finished.how is How.STOPPED


def test_a_curl_that_does_not_leave_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midstream.doctor.record.running.GRACE_S", 0.3)
    script = tmp_path / "curl"
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"
    script.write_text(f"#!{sys.executable}\n{deaf}\n")
    script.chmod(0o755)
    status, *_, writer = run([str(script)], Bounds(seconds=3.0))
    assert status == 137 and writer.finished is not None and writer.finished.how is How.STOPPED


def test_redirects_leave_the_last_head_in_charge(tmp_path: Path) -> None:
    script = tmp_path / "curl"
    heads = (
        r"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 307 X\r\nlocation: /\r\n\r\nHTTP/2 200 \r\nserver: x\r\n\r\nevent: pi"
    )
    script.write_text(
        f"#!{sys.executable}\nimport sys\nassert sys.argv[1:5] == {list(ADDED)!r}\nsys.stdout.write('{heads}')\n"
    )
    script.chmod(0o755)
    status, out, _, examined, _ = run([str(script), "http://x"])
    assert status == 0 and out == b"event: pi"
    (one,) = examined.diagnoses
    assert one.head is not None and one.head.version == "HTTP/2"


@pytest.mark.parametrize("text", ["HTTP/1.1 20", "HTT", "hello", ""])
def test_what_is_no_head_is_body(text: str, tmp_path: Path) -> None:
    script = tmp_path / "curl-fake"
    script.write_text(f"#!{sys.executable}\nprint({text!r}, end='')\n")
    script.chmod(0o755)
    _, _, _, examined, writer = run([str(script)])
    assert writer.bytes == len(text) == examined.bytes


@pytest.mark.parametrize("words", [[], ["wget", "http://x"], ["/nowhere/curl", "http://x"]])
def test_what_is_no_curl_is_one_sentence(words: list[str]) -> None:
    with pytest.raises(NoCurl):
        run(words)
