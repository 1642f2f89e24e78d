"""The port of the journal: what a store must do, in prose and types.

Rule: a store knows bytes, offsets and epochs. What consumers see is what it says is durable, and nothing else.

A *stream* is one sequence of records. A record of the kind SHOWN holds bytes that consumers may see: one or more whole
frames; frames are numbered from 1 without a gap, and the number of the last frame is the stream's *offset*. Records of
other kinds are for the gateway alone; they have no frames, and keep their place among the others.

What a store promises:

1. `Writer.append` never blocks and never raises for what the store meets; records are durable in the order of
   the calls.
2. Subscribers are told of records once they are durable *as the store's setting promises it*, in order, without a gap
   and never twice; so what a consumer sees is in the journal first. `read` gives what subscribers may know, and no
   more.
3. One writer for each stream: `adopt` begins a new epoch, and what an earlier writer appends afterwards is refused
   (`Writer.fenced` becomes true), also when the earlier writer lives in another process.
4. After a crash, `open_streams` and `read` give what was durable, without holes, up to a torn last write.
5. A store that fails (full disk, broken file) says so through `health`, goes on telling subscribers so that running
   streams do not stop, and tries again.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec

from midstream.usual import Kind as Kind
from midstream.usual import Record as Record


class Info(msgspec.Struct, frozen=True):
    """What can be asked of a stream without reading it."""

    id: str
    owner: bytes
    """Who may read it: a keyed hash, never a credential."""
    key: bytes
    """What a repeated request is found by: a keyed hash of credential and request."""
    created_at: float
    """Seconds since 1970, as the gateway said."""
    epoch: int
    ended: bool
    offset: int
    """The number of the last durable frame."""
    size_bytes: int
    """Of all its records."""
    lossy: bool = False
    """What follows its last durable frame was told to subscribers, but could not be stored: `read` ends there, without
    ENDED, and nobody may adopt the stream."""


class Health(msgspec.Struct, frozen=True):
    """How the store is."""

    ok: bool
    detail: str = ""
    """What is wrong, in one sentence, without contents."""
    pending_bytes: int = 0
    """Appended, and not durable yet."""
    lag_s: float = 0.0
    """How long the oldest of them has been waiting."""


Subscriber: TypeAlias = Callable[[Sequence[Record]], None]
"""Called in the event loop's thread, soon after records became durable. Must not raise."""


class Writer(Protocol):
    """The one that may append to a stream. Used in the event loop's thread."""

    @property
    def id(self) -> str:
        """The stream's."""

    @property
    def epoch(self) -> int:
        """Counts the writers that the stream has had."""

    @property
    def fenced(self) -> bool:
        """Another writer has adopted the stream: what was appended since is lost."""

    @property
    def offset(self) -> int:
        """The number of the last frame that was appended; durable or not."""

    @property
    def pending_bytes(self) -> int:
        """Appended by this writer, and not durable yet: who produces faster than the store writes must wait."""

    def append(self, kind: Kind, data: bytes, count: int = 0) -> None:
        """Queues a record; ``count`` frames of it, numbered on from `offset`. ENDED closes the stream."""


class Journal(Protocol):
    """A store of streams. Made for one event loop; every coroutine runs there, blocking work elsewhere."""

    async def start(self) -> None:
        """Opens and checks the store. Raises `JournalError`, with one sentence that names the thing and the cure."""

    def create(self, id: str, *, owner: bytes, key: bytes, created_at: float, opening: bytes) -> Writer:
        """A new stream, with its OPENED record queued. The id must be new."""

    async def adopt(self, id: str) -> Writer:
        """Becomes the writer of a stream that has not ended, in a new epoch. Raises `UnknownStream`."""

    async def find(self, id: str) -> Info | None:
        """What is known of a stream; also of one that was created a moment ago and is not durable yet."""

    async def find_key(self, key: bytes) -> list[Info]:
        """The streams that were made under this key, newest first, at most 16."""

    async def open_streams(self) -> list[Info]:
        """The streams without an ENDED record, oldest first."""

    async def read(self, id: str, after: int, bytes_max: int) -> list[Record]:
        """The SHOWN records behind frame ``after``, and ENDED, in order: at least one record, then as many as fit.

        A record that holds frames before and behind ``after`` is given whole. Empty: nothing more is durable yet, or
        there is no such stream.
        """

    async def read_all(self, id: str) -> list[Record]:
        """Every durable record of a stream, for its adoption."""

    def subscribe(self, id: str, subscriber: Subscriber) -> None:
        """Tells of every SHOWN and ENDED record that becomes durable from now on; perhaps of some from a moment before.

        Who subscribes first and reads then has everything. The two overlap: records that were read already are skipped
        by their frames. One that begins behind what is known is read up to; if nothing comes, the stream is lossy.
        """

    def unsubscribe(self, id: str, subscriber: Subscriber) -> None:
        """Tells no more; also if it never did."""

    async def delete(self, id: str) -> bool:
        """Removes an ended stream and its contents; false if there was none, or it has not ended."""

    async def sweep(self, now: float) -> int:
        """Removes ended streams that are older or more than the store may keep; says how many."""

    @property
    def health(self) -> Health:
        """How the store is, now."""

    async def aclose(self) -> None:
        """Makes everything durable that was appended, if it can, and closes."""


class JournalError(Exception):
    """The store cannot be used: one sentence that names the thing and the cure."""


class UnknownStream(Exception):
    """There is no such stream that could be adopted."""
