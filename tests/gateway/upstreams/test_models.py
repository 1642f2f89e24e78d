"""What each cloud calls a model."""

import pytest

from midstream.gateway.upstreams.models import GEOS, Names, api_name, geo_of_region, key_of, takes_newest_version

SAME = [
    # the model itself, then what it is called here and there
    ("claude-opus-4-8", "claude-opus-4-8", "us.anthropic.claude-opus-4-8", "anthropic.claude-opus-4-8"),
    ("claude-opus-4-6", "claude-opus-4-6", "eu.anthropic.claude-opus-4-6-v1", "anthropic/claude-opus-4-6"),
    (
        "claude-sonnet-4-5",
        "claude-sonnet-4-5-20250929",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "claude-sonnet-4-5@20250929",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0:200k",
        "projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4-5@20250929",
        "claude-sonnet-4-5[1m]",
        " Claude-Sonnet-4-5-latest ",
    ),
    ("claude-opus-4", "claude-opus-4-0", "claude-opus-4-20250514", "us-gov.anthropic.claude-opus-4-20250514-v1:0"),
    (
        "claude-3-5-sonnet",
        "claude-3-5-sonnet-20241022",
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "claude-3-5-sonnet-v2@20241022",
        "claude-3-5-sonnet-latest",
    ),
    (
        "claude-3-5-sonnet-20240620",
        "anthropic.claude-3-5-sonnet-20240620-v1:0",
        "claude-3-5-sonnet@20240620",
    ),
    ("claude-fable-5-2", "claude-fable-5-2", "jp.anthropic.claude-fable-5-2"),
    # no model of Claude's: nothing is known of such names
    ("my-deployment-v2", "my-deployment-v2"),
    ("amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
    ("", ""),
]


@pytest.mark.parametrize(("key", "name"), [(key, name) for key, *names in SAME for name in (key, *names)])
def test_one_model_has_one_key_whatever_a_cloud_calls_it(key: str, name: str) -> None:
    assert key_of(name) == key


@pytest.mark.parametrize(
    ("style", "asked", "theirs"),
    [
        ("api", "claude-opus-4-8", "claude-opus-4-8"),
        ("api", "anything at all", "anything at all"),
        ("bedrock", "claude-opus-4-8", "us.anthropic.claude-opus-4-8"),
        ("bedrock", "claude-opus-4-6", "us.anthropic.claude-opus-4-6-v1"),
        ("bedrock", "claude-haiku-4-5", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("bedrock", "claude-haiku-4-5-20251001", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("bedrock", "claude-sonnet-4-5@20250929", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock", "claude-3-5-sonnet-20240620", "us.anthropic.claude-3-5-sonnet-20240620-v1:0"),
        ("bedrock", "claude-3-5-sonnet-latest", "us.anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("bedrock", "claude-of-next-year-7", "us.anthropic.claude-of-next-year-7"),
        ("bedrock", "anthropic.claude-opus-4-6-v1", "anthropic.claude-opus-4-6-v1"),
        ("bedrock", "jp.anthropic.claude-opus-4-8", "jp.anthropic.claude-opus-4-8"),
        ("bedrock", "arn:aws:bedrock:x:1:application-inference-profile/abc", None),
        ("bedrock", "arn:aws:bedrock:x:1:inference-profile/us.anthropic.claude-opus-4-8", None),
        ("bedrock", "amazon.nova-pro-v1:0", None),
        ("mantle", "claude-opus-4-8", "anthropic.claude-opus-4-8"),
        ("mantle", "anthropic.claude-opus-4-8", None),
        ("vertex", "claude-opus-4-8", "claude-opus-4-8"),
        ("vertex", "claude-opus-4-5", "claude-opus-4-5@20251101"),
        ("vertex", "claude-opus-4-5-20251101", "claude-opus-4-5@20251101"),
        ("vertex", "claude-3-5-sonnet", "claude-3-5-sonnet-v2@20241022"),
        ("vertex", "claude-opus-4-5@default", None),
        ("vertex", "us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5@20251101"),
    ],
)
def test_a_name_of_the_api_becomes_that_of_the_cloud_and_one_of_the_cloud_stays(
    style: str, asked: str, theirs: str | None
) -> None:
    names = Names(style, geo="us" if style == "bedrock" else "")  # type: ignore[arg-type]
    assert names.of(asked) == (asked if theirs is None else theirs)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-8", "claude-opus-4-8"),
        ("arn:aws:bedrock:x:1:application-inference-profile/abc", None),
    ],
)
def test_a_name_of_a_cloud_is_one_of_the_api_again(theirs: str, ours: str | None) -> None:
    assert api_name(theirs) == (ours or theirs)
    assert Names("api").api_name(theirs) == (ours or theirs)


PROFILE = "arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc"
TABLE = {"claude-opus-4-8": PROFILE, "fast": "eu.anthropic.claude-haiku-4-5-20251001-v1:0"}


def test_the_users_table_beats_every_pattern_in_both_directions() -> None:
    names = Names("bedrock", TABLE, geo="eu")
    assert names.of("claude-opus-4-8") == PROFILE
    assert names.of("claude-opus-4-8-20260101") == PROFILE
    assert names.of("fast") == TABLE["fast"]
    assert names.api_name(PROFILE) == "claude-opus-4-8"
    assert names.api_name("fast") == TABLE["fast"]


def test_the_key_is_that_of_the_model_that_is_really_asked_for() -> None:
    names = Names("bedrock", TABLE, geo="eu")
    assert names.key("fast") == "claude-haiku-4-5"
    # A deployment or a profile says nothing itself: it is what it was asked for by.
    assert names.key("claude-opus-4-8") == names.key(PROFILE) == "claude-opus-4-8"
    assert names.key("arn:aws:bedrock:x:1:application-inference-profile/other").endswith("/other")


@pytest.mark.parametrize(
    ("name", "newest"),
    [
        ("claude-opus-4-7", True),
        ("us.anthropic.claude-opus-4-8", True),
        ("claude-sonnet-5", True),
        ("claude-mythos-preview", True),
        ("claude-fable-5-2", True),
        ("claude-opus-4-6", False),
        ("claude-haiku-4-5-20251001", False),
        ("claude-opus-4-20250514", False),
        ("claude-3-7-sonnet-20250219", False),
        ("claude-instant-v1", False),
        (PROFILE, False),
        ("", False),
    ],
)
def test_the_newest_version_is_for_models_from_4_7_on(name: str, newest: bool) -> None:
    assert takes_newest_version(name) is newest


@pytest.mark.parametrize(
    ("region", "geo"),
    [
        ("us-east-1", "us"),
        ("us-gov-west-1", "us-gov"),
        ("eu-central-1", "eu"),
        ("ap-northeast-1", "jp"),
        ("ap-southeast-2", "au"),
        ("ap-south-1", ""),
        ("ca-central-1", ""),
        ("sa-east-1", ""),
    ],
)
def test_a_region_stays_in_its_own_geography(region: str, geo: str) -> None:
    assert geo_of_region(region) == geo
    assert geo in ("", *GEOS)
