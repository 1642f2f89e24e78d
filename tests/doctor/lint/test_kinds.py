"""What kind of configuration a file is."""

from pathlib import Path

import pytest

from midstream.doctor.configs.templates import KINDS as WRITTEN
from midstream.doctor.configs.templates import Kind as Written
from midstream.doctor.configs.templates import Wanted, filled
from midstream.doctor.lint.kinds import KINDS, Kind, kind_of
from midstream.doctor.lint.source import Source, Unreadable
from tests.doctor.lint.cases import CASES, Case


@pytest.mark.parametrize(
    ("name", "kind"),
    [("/etc/nginx/nginx.conf", "nginx"), ("C:\\haproxy\\haproxy.cfg", "haproxy"), ("NGINX.CONF", "nginx")],
)
def test_the_name_decides(name: str, kind: str) -> None:
    assert kind_of(Source(name, "")).name == kind


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_the_content_of_every_bad_configuration_shows_its_kind(case: Case) -> None:
    assert kind_of(Source("x", case.bad)).name == case.kind


@pytest.mark.parametrize("written", [each for each in WRITTEN if each.lint], ids=lambda each: each.name)
def test_what_config_writes_is_recognised_by_name_and_by_content(written: Written) -> None:
    text = filled(written.name, Wanted())
    for name in ("stdin", written.file):
        assert kind_of(Source(name, text)).name == written.lint


def test_what_is_named_needs_no_recognition() -> None:
    assert kind_of(Source("x", ""), "haproxy").name == "haproxy"


@pytest.mark.parametrize(
    "text",
    ["", "hello", Path(__file__).read_text(), "\n" * 200_000, " " * 200_000, " \n" * 90_000, "listen\n" * 28_000],
    ids=["empty", "prose", "python", "ends of lines", "spaces", "both", "one word"],
)
def test_what_is_nothing_of_it_is_one_sentence(text: str) -> None:
    with pytest.raises(Unreadable, match="is no configuration that is known here"):
        kind_of(Source("x", text))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_has_its_checker(kind: Kind) -> None:
    assert callable(kind.check())
