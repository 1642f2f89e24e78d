"""Who is told of a stream's records.

Rule: what one subscriber does wrong is not felt by another, nor by the store.
"""

import logging
from collections.abc import Sequence

from midstream.journal.port import Kind, Record, Subscriber
from midstream.journal.records import told
from midstream.usual import Audience

_SHOWN = Kind.SHOWN
_log = logging.getLogger("midstream.journal")


class Subscribers(Audience):
    """The subscribers of every stream. Used in the event loop's thread."""

    def __init__(self) -> None:
        # Nearly always one, without a tuple around it; tuples, so that one who leaves while others are being told
        # disturbs nobody.
        self._of: dict[str, Subscriber | tuple[Subscriber, ...]] = {}

    def add(self, id: str, subscriber: Subscriber) -> None:
        """Tells it of this stream from now on."""
        others = self._all(id)
        self._of[id] = (*others, subscriber) if others else subscriber

    def remove(self, id: str, subscriber: Subscriber) -> None:
        """Tells it no more; also if it never did."""
        # By equality: every access to a bound method makes a new object.
        left = tuple(other for other in self._all(id) if other != subscriber)
        if left:
            self._of[id] = left if len(left) > 1 else left[0]
        else:
            self._of.pop(id, None)

    def _all(self, id: str) -> tuple[Subscriber, ...]:
        found = self._of.get(id, ())
        return found if isinstance(found, tuple) else (found,)

    def tell(self, id: str, records: Sequence[Record]) -> None:
        """Tells everyone of those of the records that are for consumers."""
        found = self._of.get(id)
        if found is None:
            return
        subscribers = found if isinstance(found, tuple) else (found,)
        news = records if len(records) == 1 and records[0].kind is _SHOWN else told(records)
        if not news:
            return
        for subscriber in subscribers:
            # One who was removed by another a moment ago is not told any more.
            if subscriber is not subscribers[0] and subscriber not in self._all(id):
                continue
            try:
                subscriber(news)
            except Exception as problem:
                self._failed(id, problem)

    def _failed(self, id: str, problem: Exception) -> None:
        # The text of the exception may hold what was shown; its type does not.
        _log.error("a subscriber of stream %s raised %s", id, type(problem).__name__)
