"""Checks the docs: links lead somewhere, code parses, generated parts are what the code says now.

Rule: a page that says what the code would say better has that part generated, between two marks:

    <!-- generated: midstream --help -->
    <!-- end -->

`python tools/docs.py` fails on what is wrong and says where; with `--write` it makes the generated parts again.
"""

import argparse
import ast
import dataclasses
import inspect
import io
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = re.compile(r"(<!-- generated: (?P<name>[^>]+?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)
FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ +(?P<title>.+?) *$", re.MULTILINE)


def pages() -> list[Path]:
    """Every page of the project."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md")]
    return sorted([*found, *ROOT.glob("examples/**/*.md"), *ROOT.glob("bench/**/*.md")])


def command_help(words: list[str]) -> str:
    """What `midstream … --help` prints, at a fixed width."""
    from midstream.cli.main import main

    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        main(words)
    return f"```\n$ midstream {' '.join(words)}\n{printed.getvalue().rstrip()}\n```\n"


def policy_table() -> str:
    """The fields of `Policy`: what the environment calls them, their defaults, and what their docstrings say."""
    from midstream.recovery import policy

    (tree,) = [node for node in ast.parse(inspect.getsource(policy.Policy)).body if isinstance(node, ast.ClassDef)]
    told = {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(tree.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
    rows = [
        f"| `{field.name}` | `{policy.ENVIRON_PREFIX}{field.name.upper()}` | `{field.default!r}` | {told[field.name]} |"
        for field in dataclasses.fields(policy.Policy)
    ]
    return "\n".join(["| argument | environment | default | |", "| --- | --- | --- | --- |", *rows, ""])


def configuration_tables() -> str:
    """The settings of the gateway, and of its policy."""
    from midstream.gateway.reference import markdown

    return markdown()


def bench_table() -> str:
    """The last run of the bench that was kept, as a table."""
    rows = [
        f"| {row['claim']} | {row['needs']} | {row['ratio']:.2f}× | {row['ours_us']:.2f} | {row['theirs_us']:.2f} |"
        for row in json.loads((ROOT / "bench" / "baseline.json").read_text())["rows"]
    ]
    heads = ["| per event | required | measured | µs, ours | µs, beside |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*heads, *rows, ""])


def lint_rules() -> str:
    """Every rule of `midstream lint`, family by family."""
    from midstream.doctor.lint.reference import markdown

    return markdown()


ERRORS = ROOT / "docs" / "reference" / "errors"


def error_page(name: str) -> str:
    """The page of one entry of the catalogue of `midstream explain`."""
    from midstream.doctor.entries import catalogue
    from midstream.doctor.pages import page

    entry = catalogue().get(name)
    return page(entry) if entry else ""


def error_index() -> str:
    """The list of all those pages."""
    from midstream.doctor.entries import catalogue
    from midstream.doctor.pages import index

    return index(catalogue().values())


def wrong_error_pages(write: bool) -> Iterator[str]:
    """Entries without a page, and pages without an entry; made and removed if that is wished."""
    from midstream.doctor.entries import catalogue

    there = {path.stem for path in ERRORS.glob("*.md")} - {"README"}
    for name in sorted(catalogue().keys() - there):
        if write:
            (ERRORS / f"{name}.md").write_text(f"<!-- generated: error {name} -->\n<!-- end -->\n")
        else:
            yield f"docs/reference/errors: the entry {name} has no page: make docs"
    for name in sorted(there - catalogue().keys()):
        if write:
            (ERRORS / f"{name}.md").unlink()
        else:
            yield f"docs/reference/errors/{name}.md: there is no such entry: make docs"


def generate(name: str) -> str:
    """The text that belongs between the marks of this name."""
    words = name.split()
    if words[0] == "midstream":
        return command_help(words[1:])
    if words[0] == "error":
        return error_page(words[1])
    makers: dict[str, Callable[[], str]] = {
        "policy": policy_table,
        "configuration": configuration_tables,
        "bench": bench_table,
        "lint-rules": lint_rules,
        "errors": error_index,
    }
    return makers[name]()


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a page make, spelt as GitHub spells them."""
    plain = FENCE.sub("", text)
    titles = [match["title"].lower() for match in HEADING.finditer(plain)]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def wrong_links(page: Path, text: str) -> Iterator[str]:
    """Links into the project that lead nowhere."""
    for match in LINK.finditer(FENCE.sub("", text)):
        path, _, anchor = match["target"].partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"the link to {match['target']} leads nowhere"
        elif anchor and anchor not in anchors(target.read_text()):
            yield f"{match['target']}: there is no such heading"


def wrong_code(text: str) -> Iterator[str]:
    """Python that does not parse. (What a page shows as running is run by the tests.)"""
    for match in FENCE.finditer(text):
        if match["language"] == "python":
            try:
                ast.parse(match["code"])
            except SyntaxError as problem:
                line = text.count("\n", 0, match.start()) + 1 + (problem.lineno or 0)
                yield f"line {line}: the Python does not parse: {problem.msg}"


def wrong_generated(page: Path, text: str, write: bool) -> Iterator[str]:
    """Generated parts that are not what the code says now; written again if that is wished."""
    fresh = GENERATED.sub(lambda match: f"{match[1]}{generate(match['name'])}{match[4]}", text)
    if fresh == text:
        return
    if write:
        page.write_text(fresh)
        print(f"{page.relative_to(ROOT)}: written")
    else:
        yield "a generated part is out of date: make docs"


def main() -> int:
    """1 if something is wrong, after saying what."""
    parser = argparse.ArgumentParser(description="Check the docs.")
    parser.add_argument("--write", action="store_true", help="make the generated parts again")
    write: bool = parser.parse_args().write
    wrong = 0
    for problem in wrong_error_pages(write):
        print(problem, file=sys.stderr)
        wrong += 1
    for page in pages():
        text = page.read_text()
        for problem in [*wrong_links(page, text), *wrong_code(text), *wrong_generated(page, text, write)]:
            print(f"{page.relative_to(ROOT)}: {problem}", file=sys.stderr)
            wrong += 1
    print(f"{len(pages())} pages, {wrong} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
