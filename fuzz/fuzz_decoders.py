"""Any bytes at all, into both decoders.

Rule: a decoder answers with frames or with an error that it documents; however the bytes are cut, the answer is the
same, and no byte is lost.

    python -m fuzz.fuzz_decoders [--seconds n] [--seed n]
    python -m fuzz.fuzz_decoders --atheris [libFuzzer's arguments]     guided by coverage, where atheris is installed
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from importlib import import_module
from zlib import crc32

from midstream.protocol import eventstream, sse
from midstream.protocol.frames import FrameTooLarge

Cut = Callable[[bytes], list[bytes]]

SSE_FRAGMENTS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b":", b" ", b"\0", b"\xef\xbb\xbf", b"\xff", b"\xe2\x80\xa8"),
    *(b"data", b"data:", b"data: {}", b"event", b"event: ", b"event: ping\n", b"id: 1\n", b"id: \0\n", b": comment\n"),
    *(b"retry: 10\n", b"retry: " + b"9" * 5000, b"event: ping\ndata: {}\n\n", b"event: ping\r\ndata: {}\r\n\r\n"),
]
MESSAGES = [
    eventstream.encode({}, b""),
    eventstream.encode({":event-type": "chunk", ":message-type": "event"}, b'{"bytes":"e30=","p":"abc"}'),
    eventstream.encode(
        {"a": True, "b": eventstream.Byte(1), "c": eventstream.Long(-1), "d": b"x", "e": "y"}, b"z" * 99
    ),
]


def cut(data: bytes, draw: random.Random) -> list[bytes]:
    """The bytes in a few pieces; some may be empty."""
    at = sorted(draw.randint(0, len(data)) for _ in range(draw.randint(0, 6)))
    return [data[begin:end] for begin, end in zip([0, *at], [*at, len(data)], strict=True)]


def single(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def check_sse(data: bytes, draw: random.Random) -> None:
    """Both ways of cutting give the same frames, and the blocks add up to the input."""
    whole = _sse_frames([data])
    for chunks in (cut(data, draw), single(data)):
        assert _sse_frames(chunks) == whole, chunks
    small = sse.Decoder(frame_bytes_max=40)
    try:
        for chunk in cut(data, draw):
            small.feed(chunk)
    except FrameTooLarge as error:
        assert error.size_bytes == len(small.pending) > 40, data


def _sse_frames(chunks: list[bytes]) -> list[object]:
    decoder = sse.Decoder()
    blocks = [block for chunk in chunks for block in decoder.split(chunk)]
    assert b"".join(blocks) + decoder.pending == b"".join(chunks), chunks
    frames = [frame for block in blocks if (frame := decoder.parse(block)) is not None]
    for frame in frames:  # what was read can be written, and reads the same
        assert sse.Decoder().feed(sse.encode(frame.name, frame.data, frame.id)) == [frame], frame
    return [frames, decoder.pending, decoder.parse_pending(), decoder.last_event_id, decoder.retry_ms]


def check_eventstream(data: bytes, draw: random.Random) -> None:
    """The same for messages: whole ones, then perhaps one typed error, however the bytes are cut."""
    whole = _messages([data])
    for chunks in (cut(data, draw), single(data)):
        assert _messages(chunks) == whole, chunks
    _messages([data], eventstream.Decoder(headers_bytes_max=20, payload_bytes_max=20))


def _messages(chunks: list[bytes], decoder: eventstream.Decoder | None = None) -> list[object]:
    decoder = decoder or eventstream.Decoder()
    messages = []
    for chunk in chunks:
        found, error = decoder.feed_until_error(chunk)
        messages += found
        assert error is decoder.error
    kept = b"".join(message.raw for message in messages) + decoder.pending
    assert b"".join(chunks).startswith(kept), chunks
    if decoder.error is not None:
        return [messages, type(decoder.error), str(decoder.error)]
    assert kept == b"".join(chunks), chunks
    for message in messages:
        assert eventstream.encode(message.headers, message.payload) == message.raw, message
    return [messages, decoder.pending]


def random_sse(draw: random.Random) -> bytes:
    return b"".join(
        draw.choice(SSE_FRAGMENTS) if draw.random() < 0.8 else draw.randbytes(draw.randint(0, 8))
        for _ in range(draw.randint(0, 20))
    )


def random_eventstream(draw: random.Random) -> bytes:
    """Good messages, and damaged ones; half of these with the checksums set right, so that the headers are reached."""
    return b"".join(_damaged(draw.choice(MESSAGES), draw) for _ in range(draw.randint(0, 4)))


def _damaged(message: bytes, draw: random.Random) -> bytes:
    raw = bytearray(message)
    for _ in range(draw.choice((0, 0, 1, 1, 3))):
        raw[draw.randrange(len(raw))] = draw.randrange(256)
    if draw.random() < 0.1:
        del raw[draw.randrange(len(raw)) :]
    if draw.random() < 0.5:
        raw[:4] = len(raw).to_bytes(4)
        raw[8:12] = crc32(raw[:8]).to_bytes(4)
        raw[-4:] = crc32(raw[:-4]).to_bytes(4)
    return bytes(raw)


def run(seconds: float, seed: int) -> int:
    """Random inputs until the time is over; how many there were. A failure names the input."""
    draw, count, end = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        check_sse(random_sse(draw), draw)
        check_eventstream(random_eventstream(draw), draw)
        count += 2
    return count


def check_any(data: bytes) -> None:
    """One input of atheris: the bytes as they are, into both decoders."""
    draw = random.Random(len(data))
    check_sse(data, draw)
    check_eventstream(data, draw)


def run_atheris(arguments: list[str]) -> None:
    atheris = import_module("atheris")  # an optional tool of the developer's, and never a dependency
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], check_any)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fuzz.fuzz_decoders", description="Any bytes, into both decoders.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="repeats a run that failed")
    parser.add_argument("--atheris", action="store_true", help="be guided by coverage; what follows is libFuzzer's")
    options, rest = parser.parse_known_args()
    if options.atheris:
        run_atheris(rest)
        return
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    print(f"decoders: {options.seconds:g} s of random bytes, seed {seed}", flush=True)
    print(f"decoders: {run(options.seconds, seed):,} inputs, nothing found")


if __name__ == "__main__":
    main()
