"""The replies that are cut: our own, by kind, and the text blocks of the recorded streams where they are present.

Rule: every text here was written for this measurement; recorded streams are read from where they are, never copied.
"""

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CAPTURES = HERE.parents[1].parent / "shared" / "data" / "captures"
CHARS_MIN = 64


@dataclass(frozen=True, slots=True)
class Reply:
    name: str
    category: str
    repetitive: bool
    text: str


def replies() -> list[Reply]:
    """Return every reply of at least 64 characters; without the recorded streams, only our own."""
    own = [*_written(), *_made(), *_joined_up()]
    return [reply for reply in [*own, *_captured()] if len(reply.text) >= CHARS_MIN]


def _written() -> Iterator[Reply]:
    for path in sorted((HERE / "texts").glob("*.txt")):
        for part in path.read_text(encoding="utf-8").split("=== ")[1:]:
            head, _, text = part.partition("\n")
            if " " not in head:
                continue
            category, name = head.split(" ", 1)
            yield Reply(name, category, path.stem == "repetitive", text.removesuffix("\n"))


def _made() -> Iterator[Reply]:
    """Regular text is made by rule: it is what a model is asked for when it is asked for much of the same."""
    rows = [f"| {n:>3} | item {n:>3} | {'in stock' if n % 3 else 'sold out'} | {n * 7 % 10}.00 |" for n in range(1, 25)]
    yield Reply("stock", "table", True, "\n".join(["| no. | item | state | price |", "|---|---|---|---|", *rows]))
    yield Reply("equal rows", "table", True, "| a | b | c |\n|---|---|---|\n" + "| 0 | 0 | 0 |\n" * 20)
    yield Reply("heartbeat", "log", True, "\n".join(["[info] heartbeat ok, queue empty, nothing to do"] * 15))
    beats = (f"12:{n // 60:02}:{n % 60:02} GET /health 200 {n % 4}ms" for n in range(0, 240, 10))
    yield Reply("requests", "log", True, "\n".join(beats))
    yield Reply("long lines", "log", True, "\n".join(["WARN " + "retrying the connection to the store; " * 3] * 8))
    yield Reply("zeros", "numbers", True, "0" * 300 + "1" + "0" * 300)
    yield Reply("counting", "numbers", True, ", ".join(map(str, range(1, 160))))
    yield Reply("matrix", "json", True, json.dumps([[int(i == j) for i in range(9)] for j in range(9)], indent=1))
    records: list[dict[str, object]] = [{"id": n, "ok": True, "tags": [], "owner": None} for n in range(12)]
    yield Reply("records", "json", True, json.dumps({"items": records}, indent=2))
    yield Reply("records, minified", "json", True, json.dumps({"items": records}, separators=(",", ":")))
    digest = base64.b64encode(bytes(n * n * 31 % 251 for n in range(360))).decode()
    yield Reply("base64", "code", False, f"The key, as one line:\n\n{digest}\n\nDon't commit it.")
    yield Reply("indentation", "code", True, "\n".join(" " * (4 * (n % 5)) + "pass" for n in range(40)))
    yield Reply("wide blanks", "whitespace", True, "\n\n\n\n".join(["a    b    c", "a    b\t\tc  "] * 6))
    yield Reply(
        "trailing blanks",
        "whitespace",
        False,
        "A line that breaks hard,  \nwith two blanks before it,  \n\n\nends.\n\n",
    )
    yield Reply(
        "crlf",
        "whitespace",
        False,
        "First line of the file\r\nsecond line\r\n\r\n    and an indented one\r\n\tand a tab\r\n",
    )
    yield Reply("said twice", "prose", True, 2 * "This very sentence stands here twice, one directly after the other. ")
    verse = (
        "Row, row, row your boat, gently down the stream; merrily, merrily, merrily, merrily, life is but a dream.\n"
    )
    yield Reply("round", "refrain", True, verse * 4)


def _joined_up() -> Iterator[Reply]:
    """Long replies, of several kB: each is one answer that holds prose, code, lists and tables in turn."""
    own = list(_written())
    ordinary = [reply.text for reply in own if not reply.repetitive]
    for n in range(3):
        text = "\n\n".join(f"## Part {i}\n\n{part}" for i, part in enumerate(ordinary[n::6], 1))
        yield Reply(f"long {n}", "long", False, text)


def _captured() -> Iterator[Reply]:
    seen: set[str] = set()
    for path in sorted([*CAPTURES.glob("*.sse"), *CAPTURES.glob("*.eventstream")]):
        events = _sse(path.read_bytes()) if path.suffix == ".sse" else _bedrock(path.read_bytes())
        for text in _texts(events):
            if text not in seen:
                seen.add(text)
                yield Reply(path.name, "captured", False, text)


def _sse(body: bytes) -> Iterator[object]:
    for line in body.replace(b"\r", b"\n").split(b"\n"):
        if line.startswith(b"data:"):
            yield _loads(line[5:])


def _bedrock(body: bytes) -> Iterator[object]:
    at = 0
    while len(body) - at >= 16:
        total, headers = struct.unpack_from(">II", body, at)
        if not 16 <= total <= len(body) - at:
            return
        payload = _loads(body[at + 12 + headers : at + total - 4])
        if isinstance(payload, dict) and isinstance(payload.get("bytes"), str):
            yield _loads(base64.b64decode(payload["bytes"]))
        at += total


def _loads(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _texts(events: Iterator[object]) -> Iterator[str]:
    texts: dict[object, list[str]] = {}
    for event in events:
        if not isinstance(event, dict):
            continue
        if event.get("type") == "message_start":
            yield from map("".join, texts.values())
            texts = {}
        delta = event.get("delta")
        if event.get("type") == "content_block_delta" and isinstance(delta, dict) and delta.get("type") == "text_delta":
            texts.setdefault(event.get("index"), []).append(str(delta.get("text", "")))
    yield from map("".join, texts.values())
