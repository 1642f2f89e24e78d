"""``midstream lint``: its exit status, its forms, and what it writes."""

import io
import json
import sys
from pathlib import Path

import pytest

from midstream.cli.main import main
from midstream.doctor.lint.catalogue import rules

COMMAND = ["midstream.cli.lint"]
BAD = "location / {\n    proxy_pass http://x;\n}\n"
RIGHT = "proxy_http_version 1.1;\nproxy_buffering off;\nclient_max_body_size 64m;\nlocation / {\n    proxy_pass http://x;\n}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.nginx"
    path.write_text(BAD)
    return path


def lint(*words: object) -> int:
    return main(["lint", *map(str, words)], COMMAND)


def test_findings_are_status_1_notes_alone_are_0_and_what_is_no_configuration_is_2(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lint(file) == 1
    assert capsys.readouterr().out.startswith("error: 2 errors, 1 warning and 1 note\n")
    file.write_text(RIGHT)
    assert lint(file) == 0
    assert capsys.readouterr().out.startswith("note: 1 note\n")
    file.write_bytes(b"\0")
    assert lint(file) == 2
    assert capsys.readouterr().err == f"midstream lint: {file} is not text\n"


def test_fix_writes_what_diff_shows(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("--diff", file) == 1
    shown = [line[1:] for line in capsys.readouterr().out.splitlines()[2:] if line[:1] in "+ "]
    assert file.read_text() == BAD
    assert lint("--fix", file) == 0
    out, err = capsys.readouterr()
    assert out.startswith("good: streams pass\n") and err == f"{file}: written\n"
    assert file.read_text().splitlines() == shown
    assert lint("--diff", file) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tf", 'resource "aws_s3_bucket" "x" {}'),
        ("nginx.conf", "http {}"),
        ("haproxy.cfg", "defaults\n  mode http\n"),
        ("pod.yaml", "apiVersion: v1\nkind: Pod\n"),
    ],
)
def test_where_nothing_is_proxied_nobody_is_told_that_streams_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert lint(path) == 0
    assert capsys.readouterr().out.startswith("note: nothing to judge: no stream goes through what is here\n")


def test_the_ends_of_lines_and_the_mark_of_windows_are_kept(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + BAD.replace("\n", "\r\n").encode())
    assert lint("--fix", file) == 0
    written = file.read_bytes()
    assert written.startswith(b"\xef\xbb\xbf") and written.count(b"\n") == written.count(b"\r\n")
    assert b"proxy_buffering off;\r\n" in written


def test_what_fix_has_written_it_does_not_write_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ingress.yaml"
    path.write_text(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations:\n"
        '    nginx.ingress.kubernetes.io/proxy-buffering: "on"\n'
        "    nginx.ingress.kubernetes.io/proxy-read-timeout: 20\n"
        "spec:\n  ingressClassName: nginx\n"
    )
    lint("--fix", path)
    assert capsys.readouterr().err == f"{path}: written\n" and 'proxy-read-timeout: "120"' in path.read_text()
    lint("--fix", path)
    assert capsys.readouterr().err == ""


def test_diff_tells_what_it_could_not_read_beside(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("--diff", file, "none") == 2
    assert capsys.readouterr().err == "midstream lint: none cannot be read: No such file or directory\n"


def test_json_and_sarif_are_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("--json", file) == 1
    assert json.loads(capsys.readouterr().out)["command"] == "lint"
    assert lint("--sarif", file) == 1
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"


def test_the_version_and_the_pings_count(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(RIGHT.replace("proxy_http_version 1.1;", "proxy_read_timeout 20s;"))
    assert lint("--nginx-version", "1.30.6", "--ping-s", "5", file) == 0
    assert lint("--nginx-version", "1.30.6", file) == 1
    assert lint("--ping-s", "5", file) == 1


def test_stdin_is_a_dash(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    assert lint("-", "--as", "nginx", "--short") == 1
    assert "stdin:2: nginx buffers the reply" in capsys.readouterr().out


def test_list_has_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("--list") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(rules())
    assert lint("--list", "--json") == 0
    assert [rule["id"] for rule in json.loads(capsys.readouterr().out)] == list(rules())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which files?"),
        (["--fix", "-"], "--fix needs files"),
        (["--diff", "--sarif", "x"], "choose one of"),
        (["--nginx-version", "new", "x"], "a version is numbers with dots"),
        (["--ping-s", "0", "x"], "--ping-s is a number of seconds, not 0"),
        (["--stream-s", "nan", "x"], "--stream-s is a number of seconds, not nan"),
    ],
)
def test_what_makes_no_sense_is_misuse(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint(*words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("package", "name"), [("crossplane", "a.nginx"), ("yaml", "envoy.yaml"), ("hcl2", "a.tf")])
def test_a_parser_that_is_missing_is_named_with_its_extra(
    package: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_text("")
    assert lint(tmp_path / name) == 1
    assert f"{package} is not installed" in (err := capsys.readouterr().err) and "midstream[doctor]" in err
