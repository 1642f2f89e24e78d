"""An nginx configuration as a tree of directives, with what it includes, and what each place inherits.

Rule: a setting means what the nearest level says; whoever asks gets the directive that says it, so that it has a line.
"""

import fnmatch
import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from midstream.doctor.lint.findings import Checked, Place
from midstream.doctor.lint.source import Source, Unreadable, read

# More than any server has; a pattern may match a folder that is not meant, and a file be included in many places.
FILES_MAX = 1000

# What stands before each file in what ``nginx -T`` prints.
_DUMPED = re.compile(r"(?m)^# configuration file (?P<name>/[^\n]{0,1000}):$\n?")

# What every nginx ships, and what says nothing about streams.
_SHIPPED = {"mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params", "proxy_params"}

_OUTSIDE_HTTP = {"stream", "mail"}


@dataclass(eq=False, slots=True)
class Directive:
    """One directive, with what stands in its block."""

    name: str
    args: tuple[str, ...]
    place: Place
    parent: "Directive | None"
    block: "list[Directive] | None" = None

    @property
    def value(self) -> str:
        """Its first argument."""
        return self.args[0] if self.args else ""

    def here(self, name: str) -> "list[Directive]":
        """The directives of this name that stand directly in its block."""
        return [each for each in self.block or [] if each.name == name]

    def ancestors(self) -> "Iterator[Directive]":
        """Itself, and every block around it, from the inside out."""
        at: Directive | None = self
        while at is not None:
            yield at
            at = at.parent

    def nearest(self, name: str) -> "list[Directive]":
        """What is in force in this block: nginx inherits a setting only where none of its kind is set further in."""
        return next((found for block in self.ancestors() if (found := block.here(name))), [])

    def setting(self, name: str) -> "Directive | None":
        """The one directive that is in force; the last, where somebody wrote it twice."""
        found = self.nearest(name)
        return found[-1] if found else None

    def told(self) -> str:
        """It as it stands, without its block."""
        return " ".join([self.name, *self.args])


@dataclass(slots=True)
class Tree:
    """A file and what it includes."""

    root: Directive
    checked: Checked
    files: int = 1
    """How many were read so far, each as often as it is included."""
    dump: dict[str, str] | None = None
    """The files of ``nginx -T``, by their paths: nothing is read then."""
    open: list[Path] = field(default_factory=list)
    """What is being read, from the outside in: a file that includes itself would never end."""

    def walk(self) -> Iterator[Directive]:
        """Every directive, but for those that are not about HTTP."""
        todo = [self.root]
        while todo:
            at = todo.pop()
            yield at
            todo += [each for each in reversed(at.block or []) if each.name not in _OUTSIDE_HTTP]


def parse(source: Source, checked: Checked) -> Tree:
    """The tree of a file. Raises `Unreadable`."""
    dump = dumped(source.text)
    if dump:
        checked.fixable = False
        checked.notes.append(f"{source.name} is what `nginx -T` prints: --fix and --diff need the files themselves")
        name, text = next(iter(dump.items()))
        source = Source(name, text)
    tree = Tree(Directive("", (), Place(source.name, 1), None, []), checked, dump=dump)
    main = Path(source.name)
    tree.open.append(main.absolute())
    tree.root.block = _directives(source, tree, tree.root, main.parent)
    return tree


def dumped(text: str) -> dict[str, str] | None:
    """The files in what ``nginx -T`` prints, by their paths, the main one first; ``None`` if it is none."""
    text = text.replace("\r\n", "\n")
    marks = list(_DUMPED.finditer(text))
    # Its own words about the test may stand before.
    before = text[: marks[0].start()].split("\n") if marks else ["none"]
    if any(line.strip() and not line.startswith("nginx: ") for line in before):
        return None
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return {mark["name"]: text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}


def _directives(source: Source, tree: Tree, parent: Directive, folder: Path) -> list[Directive]:
    # Here, for it needs the extra. Whether a directive may stand where it stands is asked of ``nginx -t``.
    import crossplane

    payload: dict[str, Any] = crossplane.parse_string(
        source.text, filename=source.name, single=True, check_ctx=False, check_args=False
    )
    for problem in payload["errors"]:
        # Its texts end with the place.
        reason = re.sub(r" in \S+:\d+$", "", str(problem["error"]))
        raise Unreadable(f"{source.name}:{problem['line'] or 1} is not nginx configuration: {reason}")
    tree.checked.files[source.name] = source.lines
    return list(_built(payload["config"][0]["parsed"], source.name, tree, parent, folder))


def _built(parsed: list[dict[str, Any]], name: str, tree: Tree, parent: Directive, folder: Path) -> Iterator[Directive]:
    for each in parsed:
        at = Directive(each["directive"], tuple(each["args"]), Place(name, each["line"]), parent)
        if at.name == "include" and at.args:
            yield from _included(at, tree, parent, folder)
            continue
        if "block" in each:
            at.block = []
            at.block += _built(each["block"], name, tree, at, folder)
        yield at


def _included(at: Directive, tree: Tree, parent: Directive, folder: Path) -> Iterator[Directive]:
    for path in _paths(at, folder, tree):
        # In as many places as it is included in, but not in itself.
        if path.absolute() in tree.open:
            continue
        if tree.files >= FILES_MAX:
            tree.checked.notes.append(f"{at.place.file}:{at.place.line}: only the first {FILES_MAX} files were read")
            return
        tree.files += 1
        tree.open.append(path.absolute())
        try:
            source = read(str(path)) if tree.dump is None else Source(str(path), tree.dump[str(path)])
            yield from _directives(source, tree, parent, folder)
        except Unreadable as problem:
            tree.checked.notes.append(f"{at.place.file}:{at.place.line} includes what cannot be read: {problem}")
        finally:
            tree.open.pop()


def _paths(at: Directive, folder: Path, tree: Tree) -> list[Path]:
    """What a pattern matches below the folder of the main file; a part of a configuration is looked up higher, too."""
    pattern = at.value
    for base in (folder, *list(folder.absolute().parents)[:2]):
        if tree.dump is not None:
            found = [Path(path) for path in tree.dump if _matches(path, str(base / pattern))]
        else:
            found = [path for each in sorted(glob.glob(str(base / pattern))) if (path := Path(each)).is_file()]
        if found:
            return found
    if not glob.has_magic(pattern) and Path(pattern).name not in _SHIPPED:
        tree.checked.notes.append(f"{at.place.file}:{at.place.line} includes {pattern}, which is not here")
    return []


def _matches(path: str, pattern: str) -> bool:
    """Whether a shell would find the path by the pattern: a star is no slash."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
