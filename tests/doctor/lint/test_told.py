"""A result as a report, and as SARIF."""

import json
from pathlib import Path

import pytest

from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.run import Result, lint
from midstream.doctor.lint.told import report, sarif
from midstream.doctor.render import to_json, to_text

TEXT = """\
location / {
    proxy_pass http://x;
    proxy_send_timeout 9s;
    chunked_transfer_encoding off;
}
location /b {
    proxy_pass http://y;
}
"""


@pytest.fixture
def result(tmp_path: Path) -> Result:
    path = tmp_path / "a.nginx"
    path.write_text(TEXT)
    return lint([str(path)], Assumptions({"nginx": (1, 22, 1)}))


def test_the_words_of_a_rule_are_told_once(result: Result) -> None:
    text = to_text(report(result, Assumptions()))
    assert text.count("[NGX-HTTP10]") == 2
    assert text.count("A reply in HTTP/1.0 has no framing") == 1
    assert "measured: nginx" in text


def test_the_verdict_counts(result: Result) -> None:
    told = report(result, Assumptions({"nginx": (1, 22, 1)}, ping_s=5))
    assert told.severity == "error" and told.verdict.startswith("5 errors, 2 warnings and ")
    assert dict(told.facts)["assumed"] == "nginx 1.22.1, a ping each 5 s, streams of up to 900 s"
    assert "is a part of a configuration" in dict(told.facts)["not known"]


def test_nothing_found_is_said_as_what_it_means() -> None:
    assert report(Result(kinds={"a": "nginx"}, judged=1), Assumptions()).verdict == "streams pass"
    assert report(Result(kinds={"a": "nginx"}, judged=1), Assumptions()).severity == "good"
    assert report(Result(kinds={"a": "nginx"}), Assumptions()).severity == "note"


def test_files_that_could_not_be_checked_are_no_good_news() -> None:
    one = report(Result(kinds={"a": "nginx"}, problems=["b is not text"], allowed=2), Assumptions())
    assert one.severity == "error" and one.verdict == "nothing found; 1 of the files could not be checked"
    assert dict(one.facts)["allowed by comments"] == "2" and one.data["problems"] == ["b is not text"]
    assert report(Result(problems=["b is not text"]), Assumptions()).verdict == "no file could be checked"


def test_the_json_is_for_programs(result: Result) -> None:
    told = json.loads(to_json(report(result, Assumptions())))
    assert {finding["id"] for finding in told["findings"]} >= {"NGX-HTTP10", "NGX-CHUNKED-OFF"}
    assert told["problems"] == []


def test_sarif_has_every_finding_with_its_rule_its_place_and_its_fix(result: Result) -> None:
    told = sarif(result)
    (run,) = told["runs"]
    driver = run["tool"]["driver"]
    assert told["version"] == "2.1.0" and len(run["results"]) == len(result.findings)
    for each, finding in zip(run["results"], result.findings, strict=True):
        place = each["locations"][0]["physicalLocation"]
        assert driver["rules"][each["ruleIndex"]]["id"] == each["ruleId"] == finding.rule.id
        assert place["region"]["startLine"] == finding.place.line
        assert ("fixes" in each) is bool(finding.edits)
    assert {each["level"] for each in run["results"]} == {"error", "warning", "note"}


def test_the_fixes_of_sarif_say_what_fix_would_write(result: Result) -> None:
    by_rule = {each["ruleId"]: each for each in sarif(result)["runs"][0]["results"] if "fixes" in each}
    (removed,) = by_rule["NGX-CHUNKED-OFF"]["fixes"][0]["artifactChanges"][0]["replacements"]
    assert removed == {"deletedRegion": {"startLine": 4, "startColumn": 1, "endLine": 5, "endColumn": 1}}
    (put,) = by_rule["NGX-HTTP10"]["fixes"][0]["artifactChanges"][0]["replacements"]
    assert put["deletedRegion"]["startLine"] == put["deletedRegion"]["endLine"]
    assert put["insertedContent"]["text"].endswith("proxy_http_version 1.1;\n")


def test_sarif_tells_what_could_not_be_checked() -> None:
    (invocation,) = sarif(Result(problems=["b is not text"]))["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "b is not text"
