"""A Terraform file as blocks and attributes, each with its line.

Rule: an attribute is known only as a literal; what a variable holds is not known here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from midstream.doctor.lint.findings import Place
from midstream.doctor.lint.source import Source, Unreadable

# Its parser takes a second for 40 kB at worst; people cut a file long before this.
TEXT_MAX = 400_000


@dataclass(frozen=True, slots=True)
class Attribute:
    """One setting."""

    name: str
    text: str
    """Its value as it stands there."""
    place: Place
    one_line: bool

    @property
    def literal(self) -> str | None:
        """The value without its quotes; ``None`` for what is computed."""
        quoted = len(self.text) > 1 and self.text[0] == self.text[-1] == '"'
        inner = self.text[1:-1] if quoted else self.text
        plain = "${" not in inner if quoted else self.text in {"true", "false"} or _is_number(self.text)
        return inner if plain else None

    @property
    def number(self) -> float | None:
        """It as a number; ``None`` for what is none."""
        literal = self.literal
        return float(literal) if literal is not None and _is_number(literal) else None


@dataclass(slots=True)
class Block:
    """One block."""

    type: str
    labels: tuple[str, ...]
    place: Place
    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: "list[Block]" = field(default_factory=list)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return ".".join(self.labels) or self.type

    def below(self, *types: str) -> "list[Block]":
        """The blocks at the end of this path of types, those that are made by ``dynamic`` included."""
        found = [self]
        for kind in types:
            found = [each for block in found for each in block.blocks if each.made == kind]
        return found

    @property
    def made(self) -> str:
        """Its type, or what a dynamic block makes."""
        return self.labels[0] if self.type == "dynamic" and self.labels else self.type

    def word(self, name: str) -> str | None:
        """The literal of an attribute."""
        attribute = self.attributes.get(name)
        return attribute.literal if attribute is not None else None


def parse(source: Source) -> list[Block]:
    """The blocks of a file. Raises `Unreadable`."""
    # Here, for they come with an extra.
    import hcl2
    from lark.exceptions import LarkError

    if len(source.text) > TEXT_MAX:
        raise Unreadable(f"{source.name} is larger than {TEXT_MAX // 1000} kB: no Terraform file is")
    try:
        tree = hcl2.parses_to_tree(source.text)
    except LarkError as problem:
        line = getattr(problem, "line", 1)
        where = line if isinstance(line, int) and line > 0 else len(source.lines)
        raise Unreadable(f"{source.name}:{where} is not Terraform: something stands there that should not") from None
    return list(_blocks(tree.children[0], source))


def _blocks(body: Any, source: Source) -> Iterator[Block]:
    for node in _children(body, "block"):
        words = [source.text[_start(child) : _end(child)].strip('"') for child in node.children if _is_label(child)]
        block = Block(words[0], tuple(words[1:]), Place(source.name, node.meta.line))
        inner = next(iter(_children(node, "body")), None)
        if inner is not None:
            # The body of a dynamic block stands in its content.
            block.blocks += _blocks(inner, source)
            for attribute in _children(inner, "attribute"):
                made = _attribute(attribute, source)
                block.attributes[made.name] = made
        for content in [each for each in block.blocks if each.type == "content"] if block.type == "dynamic" else []:
            block.attributes |= content.attributes
            block.blocks += content.blocks
        yield block


def _attribute(node: Any, source: Source) -> Attribute:
    name, text = source.text[node.meta.start_pos : node.meta.end_pos].split("=", 1)
    place = Place(source.name, node.meta.line)
    return Attribute(name.strip(), text.strip(), place, "\n" not in text.strip())


def _children(node: Any, kind: str) -> list[Any]:
    return [child for child in node.children if getattr(child, "data", None) == kind]


def _is_label(node: Any) -> bool:
    return getattr(node, "data", None) in {"identifier", "string"}


def _start(node: Any) -> int:
    return int(node.meta.start_pos)


def _end(node: Any) -> int:
    return int(node.meta.end_pos)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and text.isascii() and len(text) < 20
