"""What a page shows as running is run: each block marked ``python run``, against the fault server.

Rule: a block is run as it stands, but for the address of the server.
"""

import re
from pathlib import Path

import pytest

from midstream.faults.server import FaultServer
from midstream.settings import Policy

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python run(?P<words>[^\n]*)\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]

SCRIPTS = {
    "": "cut-clean@50%; then ok",
    "fails": "on 1: overloaded@50%; then always 529",
    "bedrock": "throttlingException@50%; then ok",
}
"""By what stands behind ``run``: how the service breaks."""

pytestmark = pytest.mark.sockets


def blocks() -> list[object]:
    found = []
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text("utf-8")), 1):
            name = f"{page.relative_to(ROOT).as_posix()}:{number}"
            found.append(pytest.param(match["words"].strip(), match["code"], id=name))
    return found


@pytest.mark.parametrize(("words", "code"), blocks())
def test_a_block_that_is_said_to_run_runs(
    words: str, code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MIDSTREAM_BACKOFF_S", "0.01,0.02")
    assert Policy().backoff_s == (0.01, 0.02)
    with FaultServer(SCRIPTS[words]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
        namespace: dict[str, object] = {"__name__": "page"}
        exec(compile(code.replace("http://127.0.0.1:8787", server.url), "page", "exec"), namespace)
        # The client of a page is nobody's to close.
        if (client := namespace.get("client")) is not None:
            client.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().err == ""


def test_the_first_page_shows_an_example_that_runs() -> None:
    assert BLOCK.search((ROOT / "README.md").read_text("utf-8"))


def test_the_picture_of_the_first_page_is_there_and_has_words_for_who_cannot_see_it() -> None:
    (words, path) = re.findall(r"!\[([^\]]+)\]\((docs/demo\.svg)\)", (ROOT / "README.md").read_text("utf-8"))[0]
    assert len(words) > 60
    assert (ROOT / path).stat().st_size < 100_000
