"""Whether a message is the one that it has to be.

Rule: what the contract (§10.2) excepts is excepted here by name, and nothing else is.
"""

import json
from collections.abc import Sequence
from typing import Any

from bench.every_cut.oracle import COMPLETE, CONTINUED, RESTARTED, SETTLED, Shown
from bench.every_cut.reader import Reader

Fields = dict[str, Any]

_THOUGHTS = ("thinking", "redacted_thinking")
_EXCEPTED = {"content", "usage", "container", "context_management"}
_PROMISES = ("fallback_credit_token", "fallback_has_prefill_claim")


def difference(expected: str, truth: Reader, got: Reader, shown: Shown, *, part: Sequence[Fields]) -> str | None:
    """What is wrong with a finished message, in one line; ``None`` if nothing is.

    ``part`` is the content that had been received at the cut, as the strict reader has it.
    """
    if not got.stopped:
        return "it ends without message_stop"
    match expected:
        case "complete" | "restarted":
            return _differs_fields(truth, got) or _differs("usage", truth.usage, got.usage) or _same(truth.blocks, got)
        case "settled":
            return _differs("stop reason", "tool_use", got.stop_reason) or _same(part[: shown.blocks], got)
        case "continued":
            return _differs_fields(truth, got) or _continued(truth.blocks, got.blocks, shown)
    raise AssertionError(expected)


def _differs(what: str, expected: object, got: object) -> str | None:
    return None if expected == got else f"{what}: {_brief(expected)} expected, {_brief(got)} found"


def _differs_fields(truth: Reader, got: Reader) -> str | None:
    if truth.stop_reason != got.stop_reason:
        return _differs("stop reason", truth.stop_reason, got.stop_reason)
    return _differs("message", _plain(truth.message | truth.extras), _plain(got.message | got.extras))


def _plain(message: Fields) -> Fields:
    kept = {name: value for name, value in message.items() if name not in _EXCEPTED}
    if isinstance(details := kept.get("stop_details"), dict):
        kept["stop_details"] = {name: value for name, value in details.items() if name not in _PROMISES}
    return kept


def _same(blocks: Sequence[Fields], got: Reader) -> str | None:
    if len(blocks) != len(got.blocks):
        return f"{len(blocks)} blocks expected, {len(got.blocks)} found: {_types(blocks)} / {_types(got.blocks)}"
    pairs = zip(blocks, got.blocks, strict=True)
    return next((_differs(f"block {n}", one, other) for n, (one, other) in enumerate(pairs) if one != other), None)


def _continued(truth: Sequence[Fields], got: Sequence[Fields], shown: Shown) -> str | None:
    """Thinking after the cut is gone; a text with citations that was cut may stand in two blocks."""
    expected = list(truth[: shown.blocks])
    expected += [block for block in truth[shown.blocks :] if block["type"] not in _THOUGHTS]
    cut = shown.blocks - 1
    if shown.open and len(got) == len(expected) + 1 and "citations" in {**expected[cut], **got[cut], **got[cut + 1]}:
        joined = {**got[cut], "text": got[cut]["text"] + str(got[cut + 1].get("text"))}
        got = [*got[:cut], joined, *got[cut + 2 :]]
    if len(expected) != len(got):
        return f"{len(expected)} blocks expected, {len(got)} found: {_types(expected)} / {_types(got)}"
    for number, (one, other) in enumerate(zip(expected, got, strict=True)):
        if shown.open and number == cut:
            one, other = _uncited(one), _uncited(other)
        if one != other:
            return _differs(f"block {number}", one, other)
    return None


def _uncited(block: Fields) -> Fields:
    return {name: value for name, value in block.items() if name != "citations"}


def _types(blocks: Sequence[Fields]) -> str:
    return " ".join(str(block.get("type")) for block in blocks)


def _brief(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 1500 else f"{text[:700]} … {text[-700:]}"


__all__ = ["COMPLETE", "CONTINUED", "RESTARTED", "SETTLED", "difference"]
