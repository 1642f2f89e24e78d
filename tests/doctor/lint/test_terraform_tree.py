"""A Terraform file as blocks and attributes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.doctor.lint.source import Source, Unreadable
from midstream.doctor.lint.terraform_tree import Block, parse

TEXT = """\
resource "a_b" "c" {
  one = 1 # a comment
  two = "x${var.y}"
  three = "plain"
  four = [
    1,
  ]
  five = 2 * 3
  inner {
    six = true
  }
  dynamic "made" {
    for_each = var.x
    content {
      seven = 7
    }
  }
}
"""


def blocks(text: str) -> list[Block]:
    return parse(Source("a.tf", text))


def test_attributes_know_their_lines_and_whether_they_are_literals() -> None:
    (block,) = blocks(TEXT)
    assert (block.type, block.name, block.place.line) == ("resource", "a_b.c", 1)
    found = {name: (each.literal, each.place.line, each.one_line) for name, each in block.attributes.items()}
    assert found == {
        "one": ("1", 2, True),
        "two": (None, 3, True),
        "three": ("plain", 4, True),
        "four": (None, 5, False),
        "five": (None, 8, True),
    }
    assert block.attributes["one"].number == 1 and block.attributes["three"].number is None
    assert block.word("three") == "plain" and block.word("none") is None


def test_a_dynamic_block_is_what_it_makes() -> None:
    (block,) = blocks(TEXT)
    (inner,), (made,) = block.below("inner"), block.below("made")
    assert inner.word("six") == "true" and made.word("seven") == "7"
    assert block.below("none") == [] and block.below() == [block] and inner.name == "inner"


def test_an_empty_block_and_an_empty_file_are_fine() -> None:
    assert blocks("") == [] and blocks("locals {}\n")[0].attributes == {}


@pytest.mark.parametrize("text", ["resource {", "}", "a = ", '"x'])
def test_what_is_no_terraform_is_one_sentence(text: str) -> None:
    with pytest.raises(Unreadable, match=r"a\.tf:\d+ is not Terraform"):
        blocks(text)


def test_what_is_larger_than_any_file_is_refused() -> None:
    with pytest.raises(Unreadable, match=r"a\.tf is larger than 400 kB"):
        blocks("#" * 400_001)


@settings(deadline=None)
@given(st.text(alphabet='a={}"$[]# \n(),', max_size=40))
def test_any_text_is_blocks_or_one_sentence(text: str) -> None:
    try:
        blocks(text)
    except Unreadable as problem:
        assert "is not Terraform" in str(problem)
