"""A page says what the command says, in Markdown that shows it as it stands."""

import re
from pathlib import Path

import pytest

from midstream.doctor.entries import Entry, catalogue, read_entry
from midstream.doctor.pages import index, page

PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference" / "errors"

ENTRY = """
title = "a `<b>` <i>title</i> [x](y)"
group = "network"
match = [ { weight = 90, all = ["it"] } ]
means = "It means *that* a_b and `c_d`."
why = "It is\\nso."
check = ["Look at `x`"]
fix = "Do."
cure = "line <1>\\n  line 2\\n"
steps = ["First.", "Then."]
prevent = "Do not."
verify = "See."
sources = ["https://example.org/a_b"]
related = ["dns-failure"]
"""

MADE = """\
# a `<b>` &lt;i>title&lt;/i> \\[x](y)

`midstream explain --entry an-entry`

## What it means

It means \\*that\\* a_b and `c_d`.

## Why it happens

It is so.

## Check first

- Look at `x`

## Quick fix

Do.

## Cure

```
line <1>
  line 2
```

## Step by step

1. First.
2. Then.

## How to prevent it

Do not.

## How to know that it worked

See.

## Sources

- <https://example.org/a_b>

## Related

- [dns-failure](dns-failure.md)
"""


def test_a_page_looks_like_this() -> None:
    assert page(read_entry("an-entry", ENTRY)) == MADE


@pytest.mark.parametrize("entry", catalogue().values(), ids=lambda entry: entry.id)
def test_every_entry_has_its_page_in_the_docs(entry: Entry) -> None:
    text = (PAGES / f"{entry.id}.md").read_text("utf-8")
    assert text == f"<!-- generated: error {entry.id} -->\n{page(entry)}<!-- end -->\n"


def test_the_index_has_every_entry_once() -> None:
    made = index(catalogue().values())
    assert sorted(re.findall(r"\(([\w-]+)\.md\)", made)) == sorted(catalogue())
    assert made in (PAGES / "README.md").read_text("utf-8")
