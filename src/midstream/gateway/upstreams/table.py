"""Every upstream there is, by how it is named on the command line.

Rule: one table; help, documentation and errors are made from it.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from midstream.gateway.upstreams import anthropic, aws, bedrock, foundry, google, vertex
from midstream.gateway.upstreams.options import Options
from midstream.gateway.upstreams.port import Upstream, UpstreamError

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_GOOGLE_REGION = re.compile(r"[a-z]+(?:-[a-z]+\d{1,2})?")
_PROJECT = re.compile(r"[a-z][a-z0-9.:-]{1,98}[a-z0-9]|\d{1,20}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")

Environ = Mapping[str, str]


class Row(NamedTuple):
    """One kind of upstream."""

    form: str
    """How it is named."""
    what: str
    """What it is, for the help."""
    credentials: str
    """Where the gateway's own come from."""
    options: frozenset[str]
    """What its table in the file may have."""
    make: Callable[[str, str, Options, Environ], Upstream]
    """From the name, what stands behind its colon, its table and the environment."""


def _anthropic(name: str, rest: str, options: Options, environ: Environ) -> Upstream:
    return anthropic.Anthropic(name, options, environ)


def _bedrock(name: str, rest: str, options: Options, environ: Environ) -> Upstream:
    return bedrock.Bedrock(name, _region(name, rest), options, environ)


def _on_aws(name: str, rest: str, options: Options, environ: Environ) -> Upstream:
    return aws.AwsMessages(name, name.partition(":")[0], _region(name, rest), options, environ)


def _vertex(name: str, rest: str, options: Options, environ: Environ) -> Upstream:
    project, _, region = rest.partition("/")
    if not _PROJECT.fullmatch(project) or not _GOOGLE_REGION.fullmatch(region):
        raise UpstreamError(f"{name} lacks a project or a region; name it like vertex:my-project/europe-west1")
    return vertex.Vertex(name, project, region, options)


def _google(name: str, rest: str, options: Options, environ: Environ) -> Upstream:
    project, _, workspace = rest.partition("/")
    if not _PROJECT.fullmatch(project) or (workspace and not _WORD.fullmatch(workspace)):
        raise UpstreamError(f"{name} lacks a project; name it like google:my-project/wrkspc_01AbC")
    return google.GoogleCloud(name, project, workspace, options, environ)


def _foundry(name: str, rest: str, options: Options, environ: Environ) -> Upstream:
    if not _WORD.fullmatch(rest):
        raise UpstreamError(f"{name} lacks a resource; name it like foundry:my-resource")
    return foundry.Foundry(name, rest, options, environ)


def _region(name: str, region: str) -> str:
    if not _REGION.fullmatch(region):
        raise UpstreamError(f"{name} lacks a region of AWS; name it like {name.partition(':')[0]}:eu-central-1")
    return region


_AWS_CHAIN = "else botocore's chain (environment, profile, sign-on, role)"
_GOOGLE_CHAIN = "Google's Application Default Credentials"

ROWS: Mapping[str, Row] = {
    "anthropic": Row(
        "anthropic",
        "Anthropic's own API",
        f"{anthropic.KEY}, else {anthropic.TOKEN}",
        anthropic.OPTIONS,
        _anthropic,
    ),
    "url": Row(
        "http(s)://HOST[:PORT][/BASE]",
        "anything that speaks the Messages API",
        f'{anthropic.KEY}, else {anthropic.TOKEN}; `key_env` names another, or none ("")',
        anthropic.OPTIONS,
        _anthropic,
    ),
    "bedrock": Row(
        "bedrock:REGION",
        "Bedrock, InvokeModel: AWS event streams",
        f"{bedrock.TOKEN}, {_AWS_CHAIN}",
        bedrock.OPTIONS,
        _bedrock,
    ),
    "mantle": Row(
        "mantle:REGION",
        "Bedrock's newer endpoint: the Messages API",
        f"{', '.join(aws.PLACES['mantle'].tokens)}, {_AWS_CHAIN}",
        aws.PLACES["mantle"].options,
        _on_aws,
    ),
    "aws-messages": Row(
        "aws-messages:REGION",
        "the Messages API at Bedrock's old endpoint",
        f"{', '.join(aws.PLACES['aws-messages'].tokens)}, {_AWS_CHAIN}",
        aws.PLACES["aws-messages"].options,
        _on_aws,
    ),
    "aws": Row(
        "aws:REGION",
        "Claude Platform on AWS, run by Anthropic",
        f"{', '.join(aws.PLACES['aws'].tokens)}, {_AWS_CHAIN}; the workspace: {aws.WORKSPACE}",
        aws.PLACES["aws"].options,
        _on_aws,
    ),
    "vertex": Row(
        "vertex:PROJECT/REGION",
        "Vertex AI, run by Google",
        _GOOGLE_CHAIN,
        vertex.OPTIONS,
        _vertex,
    ),
    "google": Row(
        "google:PROJECT[/WORKSPACE]",
        "Claude on Google Cloud, run by Anthropic",
        f"{_GOOGLE_CHAIN}; the workspace: {google.WORKSPACE}",
        google.OPTIONS,
        _google,
    ),
    "foundry": Row(
        "foundry:RESOURCE",
        "Microsoft Foundry",
        f"{foundry.KEY}, or a file with an Entra token (`token_file`)",
        foundry.OPTIONS,
        _foundry,
    ),
}


def make(name: str, settings: Mapping[str, Any] | Options | None = None, environ: Environ | None = None) -> Upstream:
    """The upstream of this name, with its table of the file. Raises `UpstreamError`: one sentence for the user."""
    kind, colon, rest = name.partition(":")
    if kind in ("http", "https"):
        # The name of a URL may hold what is not to be repeated.
        row, shown = ROWS["url"], "that is a URL"
    elif kind in ROWS and kind != "url" and bool(colon) == (kind != "anthropic"):
        row, shown = ROWS[kind], name
    else:
        raise UpstreamError(_unknown(kind, colon))
    return row.make(name, rest, Options.of(shown, settings, row.options), os.environ if environ is None else environ)


def describe() -> list[tuple[str, str]]:
    """How each is named, and what it is, for the help."""
    return [(row.form, row.what) for row in ROWS.values()]


def _unknown(kind: str, colon: str) -> str:
    if kind in ROWS and kind != "url":
        return f"{kind} is not named like that; name it {ROWS[kind].form}"
    named = f"{kind}{colon}…" if colon else kind
    known = ", ".join(row.form for row in ROWS.values())
    return f"there is no upstream {named if _WORD.fullmatch(kind) else 'of that name'}; name one of {known}"
