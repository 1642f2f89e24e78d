"""The catalogue as pages of the docs: one for each entry, and an index.

Rule: a page says what `midstream explain` says, in Markdown; nothing is written here that is not in the entry's file.
"""

from collections.abc import Iterable

from midstream.doctor.entries import GROUPS, Entry
from midstream.doctor.explain import finding_of
from midstream.doctor.render import sections

_NUMBERED, _LINKED = "step by step", "related"


def page(entry: Entry) -> str:
    """The page of one entry."""
    lines = [f"# {_spelt(entry.title)}", "", f"`midstream explain --entry {entry.id}`", ""]
    for title, said, copied in sections(finding_of(entry)):
        lines += [f"## {title[0].upper()}{title[1:]}", ""]
        if copied:
            lines += ["```", str(said).strip("\n"), "```"]
        elif isinstance(said, tuple):
            lines += [f"{_mark(title, number)} {_item(title, item)}" for number, item in enumerate(said, 1)]
        else:
            lines.append(_spelt(said))
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def index(entries: Iterable[Entry]) -> str:
    """The list of all entries, group by group."""
    entries = list(entries)
    lines = []
    for group, title in GROUPS.items():
        lines += [f"## {title}", ""]
        lines += [f"- [{_spelt(entry.title)}]({entry.id}.md)" for entry in entries if entry.group == group]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _mark(title: str, number: int) -> str:
    return f"{number}." if title == _NUMBERED else "-"


def _item(title: str, item: str) -> str:
    if title == _LINKED:
        return f"[{item}]({item}.md)"
    return f"<{item}>" if item.startswith("https://") else _spelt(item)


def _spelt(text: str) -> str:
    """A text that Markdown shows as it stands: outside of literals, nothing is a tag, a link or stress.

    An underscore inside a word is none of these; where one begins or ends a word, an entry says it as a literal.
    """
    outside = str.maketrans({"<": "&lt;", "[": "\\[", "*": "\\*"})
    return "`".join(part if number % 2 else part.translate(outside) for number, part in enumerate(text.split("`")))
