"""What goes wrong: one attempt's bytes, cut and broken as the dice say, as inputs with their delays.

Rule: every fault knows what kinds of failure it may be called; the table is this file's own.
"""

import base64
import struct
import zlib
from collections import deque
from dataclasses import dataclass, field
from random import Random

import msgspec

from midstream.recovery.steps import Broke, Ended, Input, Opened, Received
from simulation.answers import Fields, pick

encode_json = msgspec.json.encode

DISCONNECTS = ("reset", "incomplete", "decoding", "protocol", "closed")
UNREACHED = ("connect", "connect_timeout", "dns", "tls", "certificate", "pool")
STREAM_ERRORS = {
    "overloaded_error": "overloaded", "rate_limit_error": "rate_limited", "api_error": "server_error",
    "timeout_error": "timed_out", "invalid_request_error": "rejected", "novel_error": "server_error",
}  # fmt: skip
EXCEPTIONS = {
    "throttlingException": "rate_limited", "serviceUnavailableException": "overloaded",
    "internalServerException": "server_error", "modelTimeoutException": "timed_out",
    "validationException": "rejected", "modelStreamErrorException": "server_error",
}  # fmt: skip
STATUSES = {
    400: "rejected", 401: "rejected", 402: "rejected", 403: "rejected", 404: "rejected", 408: "timed_out",
    409: "server_error", 413: "rejected", 422: "rejected", 429: "rate_limited", 500: "server_error",
    502: "server_error", 503: "overloaded", 504: "timed_out", 524: "server_error", 529: "overloaded",
}  # fmt: skip
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"
VIOLATIONS: dict[str, bytes] = {
    "second start": b'event: message_start\ndata: {"type":"message_start","message":{"id":"x","content":[]}}',
    "skipped block": b'event: content_block_start\ndata: {"type":"content_block_start","index":77,'
    b'"content_block":{"type":"text","text":""}}',
    "delta nowhere": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":99,'
    b'"delta":{"type":"text_delta","text":"x"}}',
    "stop nowhere": b'event: content_block_stop\ndata: {"type":"content_block_stop","index":99}',
    "early end": b'event: message_stop\ndata: {"type":"message_stop"}',
    "not json": b'event: content_block_delta\ndata: {"type":"content_block_delta","ind',
    "no object": b"data: [1,2,3]",
    "no delta": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0}',
    "wrong type": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":5}}',
}
CUTS = (
    "ended", "ended", "reset", "reset", "incomplete", "decoding", "protocol", "closed", "silence", "silence",
    "pings", "trickle", "error", "error", "garbage", "page", "violation", "violation",
)  # fmt: skip
BETWEEN_EVENTS = frozenset({"pings", "error", "violation", "exception", "error frame"})
"""Those that come after a whole frame: inside one they would be part of it, and mean anything."""
FRAME_CUTS = ("exception", "exception", "crc", "error frame")
INSTEAD = (
    ("status",) * 6 + ("unreachable",) * 3 + ("open timeout", "page 200", "json 200", "error 200", "empty 200", "lost")
)


@dataclass(slots=True)
class Feed:
    """What one attempt brings."""

    fault: str
    kinds: frozenset[str]
    """What a failure by this fault may be called."""
    items: deque[tuple[float, Input]] = field(default_factory=deque)
    """Delay and input. When there are no more, nothing comes any more."""
    events: list[Fields] = field(default_factory=list)
    """The events of the reply, in order; and where each ends in the bytes."""
    ends: list[int] = field(default_factory=list)
    sse: bool = True
    hints: Fields = field(default_factory=dict)
    """``retry_after_s``, ``should_retry``, ``hopeless``: what the policy must heed."""
    sent_bytes: int = 0
    cut_at: int = 1 << 60
    """What comes after this many bytes is not the reply's."""
    pings_s: float = 0.0
    """Once all else came: a ping so often."""
    ping: bytes = b""


def frame_sse(event: Fields) -> bytes:
    """An event as a server-sent event."""
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + encode_json(event) + b"\n\n"


def frame_aws(headers: dict[str, str], payload: bytes) -> bytes:
    """A message of an AWS event stream, by its documentation: prelude, CRC, headers, payload, CRC."""
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


_CHUNK = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}


def frame_bedrock(event: Fields) -> bytes:
    """An event as a chunk of Bedrock's."""
    return frame_aws(_CHUNK, b'{"bytes":"' + base64.b64encode(encode_json(event)) + b'","p":"abc"}')


class Breaker:
    """Makes the feeds of one stream."""

    def __init__(self, rng: Random, sse: bool, unit_s: float) -> None:
        self.rng = rng
        self.sse = sse
        self.unit_s = unit_s
        """What no watchdog minds, however often it passes within one attempt."""
        self.frame = frame_sse if sse else frame_bedrock

    def instead(self) -> Feed:
        """An attempt that never becomes a stream."""
        rng, what = self.rng, pick(self.rng, INSTEAD)
        if what == "status":
            return self._status()
        delay = self._some()
        if what == "unreachable":
            reason = pick(rng, UNREACHED)
            feed = Feed(f"unreachable: {reason}", frozenset({"unreachable"}))
            feed.items.append((delay, Broke(reason)))
            feed.hints["hopeless"] = reason == "certificate"
            return feed
        if what == "lost":
            feed = Feed("lost before the headers", frozenset({"disconnected"}))
            feed.items.append((delay, Broke(pick(rng, DISCONNECTS))))
            return feed
        if what == "open timeout":
            return Feed(what, frozenset({"silent", "stalled"}))
        return self._document(what, delay)

    def _document(self, what: str, delay: float) -> Feed:
        body, kinds = {
            "page 200": (PAGE, {"garbled"}),
            "json 200": (b'{"id":"msg_1","type":"message","content":[]}', {"garbled"}),
            "error 200": (b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}', {"overloaded"}),
            "empty 200": (b"", {"truncated"}),
        }[what]
        feed = Feed(what, frozenset(kinds))
        feed.items.append((delay, Opened(200, {"content-type": "text/html", "request-id": "req_1"})))
        self._chunks(feed, body, delay)
        feed.items.append((0.0, Ended()))
        return feed

    def _status(self) -> Feed:
        rng = self.rng
        status = pick(rng, tuple(STATUSES))
        return self.refusal(status, f"HTTP {status}")

    def refusal(self, status: int, fault: str) -> Feed:
        """An error status, with what comes with it."""
        rng = self.rng
        kind = STATUSES[status]
        headers, hints = {"content-type": "application/json", "request-id": "req_2"}, Fields()
        dice = rng.random()
        if dice < 0.3 and kind != "rejected":
            seconds = pick(rng, (0.25, 1, 2, 7, 30, 90, 4000))
            name, value = ("retry-after-ms", int(seconds * 1000)) if dice < 0.1 else ("retry-after", seconds)
            headers[name], hints["retry_after_s"] = str(value), float(seconds)
        elif dice < 0.4:
            hints["should_retry"] = dice < 0.36
            headers["x-should-retry"] = "true" if hints["should_retry"] else "false"
        body = pick(rng, (PAGE, b"", b'{"type":"error","error":{"type":"some_error","message":"m"}}', b"\xff\x00"))
        if status == 429 and rng.random() < 0.2:
            detail = b'{"error_code":"enforced_spend_limit_reached"}'
            body = b'{"type":"error","error":{"type":"rate_limit_error","message":"m","details":' + detail + b"}}"
            kind = "rejected"
        elif rng.random() < 0.03:
            body = b'{"type":"error","error":{"type":"api_error","message":"m","midstream":{"exhausted":true}}}'
            hints["hopeless"] = True
        feed = Feed(fault, frozenset({kind}), hints=hints)
        feed.items.append((self._some(), Opened(status, headers)))
        self._chunks(feed, body, self._some())
        if (dice := rng.random()) < 0.8:
            feed.items.append((0.0, Ended()))
        elif dice < 0.9:
            feed.items.append((0.0, Broke("reset")))
        return feed

    def stream(self, events: list[Fields], cut: str | None) -> Feed:
        """A reply, whole or cut."""
        rng, frame = self.rng, self.frame
        frames = [frame(event) for event in events]
        ends, at = [], 0
        for bytes_ in frames:
            at += len(bytes_)
            ends.append(at)
        kind = "text/event-stream" if self.sse else "application/vnd.amazon.eventstream"
        feed = Feed(cut or "none", frozenset(), events=events, ends=ends, sse=self.sse)
        feed.items.append((self._some(), Opened(200, {"content-type": kind, "request-id": "req_3"})))
        data = b"".join(frames)
        if cut is None:
            self._chunks(feed, data, self._some())
            feed.items.append((0.0, pick(rng, (Ended(), Ended(), Broke("reset")))))
            return feed
        place = feed.cut_at = int(pick(rng, ends)) if cut in BETWEEN_EVENTS else self._place(ends)
        tail = self._ending(feed, cut, place in ends or place == 0)
        self._chunks(feed, data[:place] + tail, self._some())
        if cut in ("ended", *DISCONNECTS):
            feed.items.append((self._some(), Ended() if cut == "ended" else Broke(cut, "cut")))
        elif cut == "pings":
            feed.ping, feed.pings_s = frame({"type": "ping"}), pick(rng, (5.0, 20.0, 50.0, 200.0))
        elif cut == "trickle":
            rest = data[place:] or b": \n\n"
            feed.cut_at = 1 << 60
            pause_s = pick(rng, (3.0, 30.0, 110.0))
            feed.items += [(pause_s, Received(rest[n : n + 1])) for n in range(min(len(rest), 3))]
        elif cut not in ("silence",) and rng.random() < 0.7:
            feed.items.append((self._some(), pick(rng, (Ended(), Broke("reset")))))
        return feed

    def _place(self, ends: list[int]) -> int:
        rng = self.rng
        if rng.random() < 0.5:
            return int(pick(rng, ends)) if rng.random() < 0.95 else 0
        return int(rng.random() * ends[-1])

    def _ending(self, feed: Feed, cut: str, whole: bool) -> bytes:
        """The bytes that break it; sets what the failure may be called."""
        rng, kinds, tail = self.rng, set[str](), b""
        if cut == "ended":
            kinds = {"truncated"} if self.sse or whole else {"disconnected"}
        elif cut in DISCONNECTS:
            kinds = {"disconnected"}
        elif cut in ("silence", "pings", "trickle"):
            kinds = {"silent", "stalled"}
        elif cut == "error":
            name = pick(rng, tuple(STREAM_ERRORS))
            kinds, feed.fault = {STREAM_ERRORS[name]}, f"error event: {name}"
            tail = self.frame({"type": "error", "error": {"type": name, "message": "m"}})
        elif cut == "violation":
            name = pick(rng, tuple(VIOLATIONS)) if feed.cut_at else "skipped block"
            kinds, feed.fault, tail = {"garbled"}, f"violation: {name}", VIOLATIONS[name] + b"\n\n"
            if not self.sse:
                payload = base64.b64encode(tail[tail.index(b"data: ") + 6 :].strip())
                tail = frame_aws(_CHUNK, b'{"bytes":"' + payload + b'"}')
        elif cut == "exception":
            name = pick(rng, tuple(EXCEPTIONS))
            kinds, feed.fault = {EXCEPTIONS[name]}, f"exception: {name}"
            tail = frame_aws({":exception-type": name, ":message-type": "exception"}, b'{"message":"m"}')
        elif cut == "error frame":
            kinds = {"server_error"}
            tail = frame_aws({":error-code": "Odd", ":error-message": "m", ":message-type": "error"}, b"")
        elif cut == "crc":
            kinds, tail = {"garbled"}, self.frame({"type": "ping"})[:-1] + b"\x00"
        else:
            kinds = {"garbled", "truncated", "disconnected", "silent", "stalled", "limit"}
            tail = (
                PAGE + b"\n" if cut == "page" else pick(rng, (b"\xff\xfe\x00garbage\n\n", b"data: {]\n\n", b"x" * 40))
            )
        # A line without a name is passed over; with a blank line, what lacked only that before it is a whole frame.
        feed.hints["passed_over"] = self.sse and (not tail or (cut in ("garbage", "page") and tail[:1] != b"d"))
        feed.hints["ends_a_frame"] = bool(tail) and feed.hints["passed_over"] and tail.endswith(b"\n\n")
        if not whole and tail:  # half a frame before it: what is what depends on the bytes
            kinds |= {"garbled", "truncated", "disconnected", "silent", "stalled", "limit"}
        if tail and cut not in ("garbage", "page"):
            kinds |= set() if whole else {"server_error"}
        feed.kinds = frozenset(kinds)
        return tail

    def _chunks(self, feed: Feed, data: bytes, delay: float) -> None:
        """Cuts the bytes into chunks: one, some, one for each event, or many."""
        rng, dice = self.rng, self.rng.random()
        if not data:
            return
        if dice < 0.25:
            places = [len(data)]
        elif dice < 0.5 and feed.ends:
            places = [*(end for end in feed.ends if end < len(data)), len(data)]
        elif dice < 0.53 and len(data) < 1500:
            places = list(range(1, len(data) + 1))
        else:
            count = 1 + int(rng.random() * 6)
            places = sorted({1 + int(rng.random() * len(data)) for _ in range(count)} | {len(data)})
        begin, pause_s = 0, delay / len(places)
        for place in places:
            feed.items.append((pause_s, Received(data[begin:place])))
            begin = place

    def _some(self) -> float:
        """A short wait."""
        return self.rng.random() * self.unit_s if self.rng.random() < 0.5 else 0.0
