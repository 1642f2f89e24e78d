"""Mistakes where two attempts meet: in the texts, the numbers and the counts; and in how the engine ends.

Rule: the text to replace is short, and says what it does: it must outlive the changes around it.
"""

from bench.mutants.mutant import Mutant

_TOLD = "pytest tests/test_every_cut.py::test_cuts_of_a_text_and_a_call_are_well"
_STITCH = "pytest tests/recovery/test_stitch.py::"
_SEAM = "pytest tests/recovery/test_seam.py::"
_SEAMS = "bench.seams --share 0.01 --jobs 1"
_STAYS = "pytest tests/sdk/test_stays_broken.py"

_SEAM_MUTANTS = (
    Mutant(
        "seam-dropped",
        5,
        "two texts are put one behind the other, whatever the continuation repeats",
        "recovery/stitch.py",
        "if first and self._cut_text is not None:",
        "if False:",
        (f"{_STITCH}test_two_attempts_are_one_message_with_the_first_one_s_id_and_model", _TOLD),
        quick=True,
    ),
    Mutant(
        "element-not-required",
        5,
        "an anchor that is not unique, or very short, is dropped without its element",
        "recovery/seam.py",
        "quote = self._quote if self._quote_alone else None",
        "quote = self._quote",
        (f"{_SEAM}test_a_join_is_decided_by_rule_whatever_the_chunking",),
    ),
    Mutant(
        "overlap-dropped",
        5,
        "words that the continuation repeats are dropped, though nobody said that they are repeated",
        "recovery/seam.py",
        '            return ""\n        return self._settle("none", held)\n',
        '            return ""\n'
        "        sizes = range(min(len(held), len(self._shown)), 0, -1)\n"
        "        overlap = next((size for size in sizes if self._shown.endswith(held[:size])), 0)\n"
        '        return self._settle("none", held[overlap:])\n',
        (_SEAMS, f"{_SEAM}test_a_join_is_decided_by_rule_whatever_the_chunking"),
    ),
    Mutant(
        "starting-over-shown",
        5,
        "a continuation that starts over is shown behind what it repeats",
        "recovery/seam.py",
        "RESTART_CHARS_MIN = 64",
        "RESTART_CHARS_MIN = 1 << 60",
        (_SEAMS,),
    ),
    Mutant(
        "element-words-lost",
        5,
        "words of the reply that the model put into the element are dropped with it",
        "recovery/seam.py",
        'return self._settle("element", placed.beyond + after, again=placed.blanks)',
        'return self._settle("element", after, again=placed.blanks)',
        (f"{_SEAM}test_a_join_is_decided_by_rule_whatever_the_chunking",),
    ),
    Mutant(
        "whitespace-restored-twice",
        5,
        "white space that was stripped from a prefix is shown a second time",
        "recovery/seam.py",
        "        return text[equal:]\n",
        "        return text\n",
        (f"{_SEAM}test_white_space_that_was_stripped_is_restored_once",),
    ),
    Mutant(
        "marker-shown",
        5,
        "the element that says that the reply was complete is shown",
        "recovery/seam.py",
        '                self._held, self.complete = "", True\n',
        '                self._held, self.complete = "", True\n                plain.append(found.group())\n',
        (f"{_STITCH}test_the_marker_ends_the_message_and_is_never_shown",),
    ),
    Mutant(
        "anchor-too-short",
        5,
        "a few characters that may stand in the text twice are the anchor",
        "recovery/anchors.py",
        "ANCHOR_CHARS_MIN = 24",
        "ANCHOR_CHARS_MIN = 2",
        ("pytest tests/recovery/test_anchors.py",),
    ),
)
_STITCHES = (
    Mutant(
        "index-not-shifted",
        3,
        "blocks of a continuation are numbered from zero",
        "recovery/stitch.py",
        "index = len(self.shown.blocks)",
        "index = self._start.index",
        (f"{_STITCH}test_block_numbers_go_on_without_a_gap",),
    ),
    Mutant(
        "second-start-shown",
        3,
        "the consumer is given the message_start of a continuation",
        "recovery/stitch.py",
        "                out: list[Event] = []\n",
        "                out: list[Event] = []\n                return [event]\n",
        (_TOLD, f"{_STITCH}test_two_attempts_are_one_message_with_the_first_one_s_id_and_model"),
    ),
    Mutant(
        "usage-not-summed",
        3,
        "the tokens of the attempt that broke are forgotten",
        "recovery/stitch.py",
        "usage = added(self._usages, attempt.usage)",
        "usage = attempt.usage",
        (f"{_STITCH}test_output_is_the_sum_of_the_shown_attempts_and_input_is_that_of_the_last",),
    ),
    Mutant(
        "continued-thinking-shown",
        3,
        "thinking of a conversation that the caller never sees is shown",
        "recovery/stitch.py",
        'NOT_SHOWN = frozenset({"thinking", "redacted_thinking"})',
        "NOT_SHOWN = frozenset(())",
        (f"{_STITCH}test_thinking_is_not_shown",),
    ),
    Mutant(
        "empty-element-is-complete",
        5,
        "a continuation that holds nothing but its element completes the message",
        "recovery/stitch.py",
        'if isinstance(scan, Join) and scan.verdict == "failed":',
        "if False:",
        ("pytest tests/test_mutation_gaps.py::test_an_empty_element_before_a_call_is_a_failed_attempt",),
    ),
    Mutant(
        "empty-reply-is-complete",
        3,
        "an empty continuation of a cut text completes the message",
        "recovery/stitch.py",
        'return "the continuation is empty, though the reply was cut within a block"',
        "return None",
        (f"{_STITCH}test_an_empty_continuation_ends_the_message_only_by_a_prefix_or_between_blocks",),
    ),
)
_ENGINE = (
    Mutant(
        "clean-end-is-complete",
        4,
        "a body that ends cleanly completes the message, as in the bare SDK",
        "recovery/engine.py",
        "self._concluded(outcome, out, now, attempt.truncated())",
        "self._concluded(Verdict.COMPLETE if outcome is GOING else outcome, out, now)",
        (_TOLD, f"{_STAYS} -k sse-cut-clean"),
        quick=True,
    ),
    Mutant(
        "message-stop-forged",
        4,
        "where it gives up, it ends the message as if it were whole",
        "recovery/engine.py",
        "        return self._finish(out, failure)\n",
        "        return self._finish([*out, *self._standing.settled(self._wire.encode)])\n",
        ("simulation --runs 400", f"{_STAYS} -k sse-cut-rst"),
    ),
    Mutant(
        "partial-not-what-was-shown",
        4,
        "the partial message has what the consumer was never shown",
        "recovery/engine.py",
        "shown_of(attempt.message, attempt.commit)[0]",
        "attempt.message",
        ("pytest tests/recovery/test_engine.py::test_the_snapshot_is_what_was_shown_at_every_moment",),
    ),
    Mutant(
        "every-delta-twice",
        2,
        "a delta that is passed on is passed on twice",
        "recovery/attempt.py",
        "            append(event)\n            count += 1\n",
        "            append(event)\n            append(event)\n            count += 1\n",
        (
            "pytest tests/test_mutation_gaps.py::test_deltas_of_a_text_that_is_shown_are_handed_on_as_they_came",
            "pytest tests/sdk/test_captures.py -k test_the_message_is_the_one_that_the_bare_sdk_makes",
        ),
    ),
)

MUTANTS = (*_SEAM_MUTANTS, *_STITCHES, *_ENGINE)
