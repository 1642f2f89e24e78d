"""Whether a client has what the contract promises: the whole reply, or the one error that is due.

Rule: the source is the played reply; what may differ from it stands in the contract (§10.2, and Settle of §6).
"""

from collections.abc import Iterator
from typing import Any

from bench.crash.clients import Client, event_of
from bench.crash.disk import Disk
from midstream.faults.reply import Reply
from tests.wire import folded

COMPARED = ("id", "type", "role", "model", "content", "stop_reason", "stop_sequence")


def judge(client: Client, disk: Disk, attempts_total: int) -> Iterator[str]:
    """All that is wrong with what a client has."""
    stored = disk.of(client.key)
    recorded = sum(stream.attempts for stream in stored)
    most = max((stream.attempts for stream in stored), default=0)
    if most > attempts_total:
        yield f"{most} attempts were made for one stream, {attempts_total} are allowed"
    if client.upstream > recorded + client.lost:
        yield f"the upstream was asked {client.upstream} times, and the journal knows of {recorded} attempts"
    for stream in stored:
        # A stream may fail while its client is away; the client's request then begins a new one.
        failed = stream.outcome == "failed" and stream.attempts >= attempts_total
        if stream.id not in client.ids[-1:] and not failed:
            yield f"it was given another stream than {stream.id}, which ended {stream.outcome or 'not at all'}"
    match client.ending:
        case "complete":
            yield from _whole(client)
        case "error" | "refused":
            yield from _failed(client, most, attempts_total)
        case other:
            yield f"it ended as {other!r}"


def message_of(client: Client) -> dict[str, Any]:
    """The message that it was given; raises for one that is not legal."""
    return folded(event for event in map(event_of, client.frames) if event["type"] != "error")


def _whole(client: Client) -> Iterator[str]:
    source = Reply.builtin(client.reply).message()
    try:
        got = message_of(client)
    except AssertionError as problem:
        yield f"what it was given is no message: {problem}"
        return
    if _settled(got, source):
        return
    for name in COMPARED:
        if got.get(name) != source.get(name):
            yield f"{name} is {_short(got.get(name))}, and at the source {_short(source.get(name))}"


def _settled(got: dict[str, Any], source: dict[str, Any]) -> bool:
    """It ends where its complete tool calls end: they are given, the model is not run again."""
    content = got["content"]
    calls = len(content) and content[-1]["type"] == "tool_use" and got["stop_reason"] == "tool_use"
    return bool(calls) and len(content) < len(source["content"]) and content == source["content"][: len(content)]


def _failed(client: Client, attempts: int, attempts_total: int) -> Iterator[str]:
    error = client.error.get("error", {})
    if attempts < attempts_total:
        yield f"it failed after {attempts} of {attempts_total} attempts: {_short(client.error)}"
    if client.ending == "error" and error.get("midstream", {}).get("exhausted") is not True:
        yield "its error does not say that midstream has given up"
    if client.frames[:-1] and client.ending == "error":
        yield from _beginning(client)


def _beginning(client: Client) -> Iterator[str]:
    """What came before an error is the beginning of the reply."""
    source = Reply.builtin(client.reply).message()["content"]
    try:
        got = message_of(client).get("content", [])
    except AssertionError as problem:
        yield f"what it was given is no beginning of a message: {problem}"
        return
    for block, whole in zip(got, source, strict=False):
        if block["type"] != whole["type"] or not str(whole.get("text", "")).startswith(block.get("text", "")):
            yield "what it was given before the error is no beginning of the reply"
    if [block for block in got if block["type"] == "tool_use" and block not in source]:
        yield "it was given a tool call that the source did not make"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 600 else f"{text[:280]} … {text[-280:]}"


def described(client: Client) -> str:
    """What it is, for whoever looks for the cause."""
    return f"{client.key} ({client.how}, {client.script}; {len(client.frames)} frames, asked {client.asked} times)"
