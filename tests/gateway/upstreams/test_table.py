"""How upstreams are named."""

from pathlib import Path

import pytest

from midstream.gateway.upstreams.port import Upstream, UpstreamError
from midstream.gateway.upstreams.table import ROWS, describe, make

ENVIRON = {"ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_1"}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "upstreams.md"

GOOD = [
    ("anthropic", "sse", "api.anthropic.com"),
    ("http://127.0.0.1:9000", "sse", "127.0.0.1"),
    ("https://proxy.example/claude", "sse", "proxy.example"),
    ("bedrock:us-east-1", "eventstream", "bedrock-runtime.us-east-1.amazonaws.com"),
    ("bedrock:us-gov-west-1", "eventstream", "bedrock-runtime.us-gov-west-1.amazonaws.com"),
    ("mantle:eu-central-1", "sse", "bedrock-mantle.eu-central-1.api.aws"),
    ("aws-messages:eu-central-1", "sse", "bedrock-runtime.eu-central-1.amazonaws.com"),
    ("aws:eu-central-1", "sse", "aws-external-anthropic.eu-central-1.api.aws"),
    ("vertex:my-project/europe-west1", "sse", "europe-west1-aiplatform.googleapis.com"),
    ("vertex:my-project/global", "sse", "aiplatform.googleapis.com"),
    ("google:my-project/wrkspc_1", "sse", "claude.googleapis.com"),
    ("foundry:my-resource", "sse", "my-resource.services.ai.azure.com"),
]


@pytest.mark.parametrize(("name", "wire", "host"), GOOD)
def test_a_name_makes_the_upstream_that_it_says(name: str, wire: str, host: str) -> None:
    made: Upstream = make(name, None, ENVIRON)
    assert (made.name, made.wire) == (name, wire)
    assert made.base.origin.host == host  # type: ignore[attr-defined]
    assert made.never_tried_live


def test_every_row_has_a_name_that_makes_it() -> None:
    made = {name.partition(":")[0].replace("https", "url").replace("http", "url") for name, _, _ in GOOD}
    assert made == set(ROWS)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "there is no upstream of that name; name one of anthropic, http"),
        ("openai", "there is no upstream openai; name one of anthropic"),
        ("openai:gpt", "there is no upstream openai:…; name one of"),
        ("sk-ant-x y", "there is no upstream of that name"),
        ("url", "there is no upstream url; name one of"),
        ("anthropic:eu", "anthropic is not named like that; name it anthropic"),
        ("bedrock", "bedrock is not named like that; name it bedrock:REGION"),
        ("bedrock:", "bedrock: lacks a region of AWS; name it like bedrock:eu-central-1"),
        ("bedrock:us-east-1/x", "bedrock:us-east-1/x lacks a region of AWS"),
        ("mantle:evil.example#", "mantle:evil.example# lacks a region of AWS; name it like mantle:eu-central-1"),
        ("vertex:my-project", "vertex:my-project lacks a project or a region; name it like vertex:my-project/europe"),
        ("vertex:/europe-west1", "lacks a project or a region"),
        ("vertex:my-project/evil.example", "lacks a project or a region"),
        ("google:", "google: lacks a project; name it like google:my-project/wrkspc_01AbC"),
        ("google:my-project/a/b", "lacks a project"),
        ("google:my-project", "needs the id of its workspace; set ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID"),
        ("foundry:a.b", "foundry:a.b lacks a resource; name it like foundry:my-resource"),
        ("http:/x", "the URL of an upstream is no URL of http or https; give one like https://host:8443/base"),
        ("http://h:99999", "the URL of an upstream is no URL; give one like"),
        ("https://h/v1", "the URL of an upstream ends in /v1, which every path of the API begins with; leave it out"),
        ("https://h/?a=1", "has more than a path behind its host; leave out what begins with ? or #"),
        ("https://h/a/../b", "has a path with dots for a segment"),
    ],
)
def test_a_name_that_is_none_is_told_in_one_sentence_with_the_cure(name: str, sentence: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        make(name, None, {})
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_key_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UpstreamError) as raised:
        make("https://user:hunter2@host", None, {})
    assert "key_env" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_table_may_have_what_its_upstream_knows_and_nothing_else() -> None:
    for name, _, _ in GOOD:
        with pytest.raises(UpstreamError, match="has colour, which it does not know; it knows base_url"):
            make(name, {"colour": "red"}, ENVIRON)
    with pytest.raises(UpstreamError, match="has geo, which it does not know"):
        make("anthropic", {"geo": "us"}, {})


def test_the_help_has_every_kind() -> None:
    rows = describe()
    assert [form for form, _ in rows] == [row.form for row in ROWS.values()]
    assert all(what for _, what in rows)


@pytest.mark.parametrize("kind", ROWS)
def test_the_page_has_every_kind_with_its_credentials_and_settings(kind: str) -> None:
    row = ROWS[kind]
    (line,) = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"| `{row.form}` |")]
    assert row.what in line
    assert row.credentials in line
    for option in row.options:
        assert f"`{option}`" in line, option
