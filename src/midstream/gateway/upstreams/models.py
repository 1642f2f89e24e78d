"""What each cloud calls a model.

Rule: one table of what is irregular; every other name follows the pattern of its cloud. Names that are already those of
the cloud, ARNs and deployments pass through.
"""

import re
from collections.abc import Mapping
from typing import Literal

Style = Literal["api", "bedrock", "mantle", "vertex"]

GEOS = ("us", "eu", "apac", "jp", "au", "ca", "sa", "us-gov", "global")
"""The prefixes of Bedrock's inference profiles."""

_PREFIX = re.compile(rf"(?:(?:{'|'.join(GEOS)})\.)?(?:anthropic[./])?")
_DATE = re.compile(r"-(?:\d{8}|latest|default)$")
_VERSION = re.compile(r"(?<=\d)-v\d+(?::\d+)?(?::\d+k)?$")
_GENERATION = re.compile(r"claude-(?P<family>[a-z]+)-(?P<major>\d{1,2})(?:-(?P<minor>\d{1,2}))?")

# The models whose names on the clouds have a date. Source: platform.claude.com/docs, "Claude on Amazon Bedrock
# (Opus 4.6 and earlier)" and "Claude on Vertex AI"; from 4.6 on the clouds use the API's own names.
_DATES = {
    "claude-opus-4-5": "20251101",
    "claude-sonnet-4-5": "20250929",
    "claude-haiku-4-5": "20251001",
    "claude-opus-4-1": "20250805",
    "claude-opus-4": "20250514",
    "claude-sonnet-4": "20250514",
    "claude-3-7-sonnet": "20250219",
    "claude-3-5-haiku": "20241022",
    "claude-3-5-sonnet": "20241022",
    "claude-3-haiku": "20240307",
}
_BEDROCK = {
    "claude-opus-4-6": "anthropic.claude-opus-4-6-v1",
    "claude-3-5-sonnet": "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "claude-3-5-sonnet-20240620": "anthropic.claude-3-5-sonnet-20240620-v1:0",
    **{key: f"anthropic.{key}-{date}-v1:0" for key, date in _DATES.items() if key != "claude-3-5-sonnet"},
}
_VERTEX = {
    **{key: f"{key}@{date}" for key, date in _DATES.items()},
    "claude-3-5-sonnet": "claude-3-5-sonnet-v2@20241022",
    "claude-3-5-sonnet-20240620": "claude-3-5-sonnet@20240620",
}
# Two models, not two dates of one.
_OWN_DATE = frozenset({"claude-3-5-sonnet-20240620"})


def key_of(name: str) -> str:
    """The model itself: without vendor, geography, date and version. What is no Claude model's name stays as it is."""
    key = _bare(name).replace("@", "-").replace("-sonnet-v2-", "-sonnet-").removesuffix("[1m]")
    if not key.startswith("claude-"):
        return name.strip().lower()
    key = _VERSION.sub("", key)
    if key in _OWN_DATE:
        return key
    key = _DATE.sub("", key)
    # The API's aliases for the first of a generation.
    return key.removesuffix("-0") if key.endswith("-4-0") else key


def api_name(name: str) -> str:
    """What the Messages API calls it: a cloud's name without its additions, the date kept."""
    bare = _bare(name)
    if not bare.startswith("claude-"):
        return name
    return _VERSION.sub("", bare.replace("@", "-").replace("-sonnet-v2-", "-sonnet-"))


def takes_newest_version(name: str) -> bool:
    """Whether Bedrock takes ``2026-10-21`` for this model: Claude 4.7 and later. What cannot be told does not."""
    key = key_of(name)
    if key == "claude-mythos-preview":
        return True
    found = _GENERATION.fullmatch(key)
    return found is not None and (int(found["major"]), int(found["minor"] or 0)) >= (4, 7)


def geo_of_region(region: str) -> str:
    """The geography whose inference profiles a region is sure to have; empty where it must be said.

    Never one that is larger than the region's own: where data may go is not for a default to widen.
    """
    for start, geo in (("us-gov-", "us-gov"), ("us-", "us"), ("eu-", "eu")):
        if region.startswith(start):
            return geo
    if region in ("ap-northeast-1", "ap-northeast-3"):
        return "jp"
    return "au" if region in ("ap-southeast-2", "ap-southeast-4", "ap-southeast-6") else ""


class Names:
    """What one upstream calls the models."""

    def __init__(self, style: Style, table: Mapping[str, str] | None = None, *, geo: str = "") -> None:
        self._style = style
        self._table = dict(table or {})
        self._back = {theirs: ours for ours, theirs in self._table.items()}
        self._geo = f"{geo}." if geo else ""

    def of(self, name: str) -> str:
        """The upstream's name. The user's table comes first: by the exact name, then by the model itself."""
        mapped = self._table.get(name) or self._table.get(key_of(name))
        if mapped is not None:
            return mapped
        if self._style == "api" or not _bare(name).startswith("claude-"):
            return name
        return self._by_pattern(name)

    def _by_pattern(self, name: str) -> str:
        key = key_of(name)
        if self._style == "vertex":
            return name if "@" in name else _VERTEX.get(key, key)
        if name.startswith("arn:") or "anthropic." in name:
            return name
        if self._style == "mantle":
            return f"anthropic.{name}"
        return self._geo + _BEDROCK.get(key, f"anthropic.{key}")

    def api_name(self, name: str) -> str:
        """The Messages API's name for what a Bedrock client asks for. The user's table comes first."""
        return self._back.get(name) or self._table.get(name) or api_name(name)

    def key(self, name: str) -> str:
        """The model itself, as `Upstream.model_key` promises it.

        What the upstream is really asked for decides; a deployment or an ARN that says nothing counts as the model that
        it was asked for by.
        """
        theirs = key_of(self.of(name))
        if theirs.startswith("claude-"):
            return theirs
        ours = key_of(self._back.get(name, name))
        return ours if ours.startswith("claude-") else theirs


def _bare(name: str) -> str:
    """The name without the path of an ARN or a resource, the geography and the vendor."""
    name = name.strip().lower()
    if name.startswith("arn:") or "/models/" in name:
        name = name.rpartition("/")[2]
    return _PREFIX.sub("", name, count=1)
