"""The upstream that has recovered: it goes on with the capture wherever a request says that it was cut.

Rule: the played service reads the request by itself; the engine tells it nothing.
"""

from typing import Any

import msgspec

from bench.every_cut.captures import Capture
from midstream.faults.acts import Send
from midstream.faults.reply import Reply
from midstream.faults.service import Attempt, Service

ANSWERS_MAX = 64
"""So many are remembered: cells beside each other ask the same."""


class Lost(Exception):
    """The request cannot be answered: what it sends back is refused, or is not a part of the reply."""


class Upstream:
    """Answers for one capture."""

    def __init__(self, capture: Capture) -> None:
        self.requests = {mode: {**capture.request(mode), "stream": True} for mode in ("prefix", "turn")}
        self._wire: Any = capture.wire
        self._reply = Reply.from_bytes(capture.body)
        self._answers: dict[object, list[bytes]] = {}

    def answer(self, mode: str, upstream: str, body: dict[str, Any] | None) -> list[bytes]:
        """The frames of the answer to this request; ``None`` stands for the caller's own. Raises `Lost`."""
        own = len(self.requests[mode]["messages"])
        turns = msgspec.json.encode(body["messages"][own:]) if body is not None else None
        key = (mode, upstream, turns)
        if key not in self._answers:
            if len(self._answers) >= ANSWERS_MAX:
                self._answers.clear()
            self._answers[key] = self._answer(mode, upstream, body)
        return self._answers[key]

    def _answer(self, mode: str, upstream: str, body: dict[str, Any] | None) -> list[bytes]:
        attempt, frames = self._respond(mode, upstream, body, rules="resume")
        if attempt.refused:
            own, _ = self._respond(mode, upstream, None, rules="on")
            if attempt.refused != own.refused:
                raise Lost(f"the request was refused: {attempt.refused}")
            # The caller's own part is at fault, and yet the real API answered it.
            attempt, frames = self._respond(mode, upstream, body, rules="off")
        if (attempt.cut is None) is (body is not None) or (attempt.cut is not None and attempt.cut.lost):
            raise Lost("what was sent back is not a part of the reply")
        return frames

    def _respond(
        self, mode: str, upstream: str, body: dict[str, Any] | None, *, rules: str
    ) -> tuple[Attempt, list[bytes]]:
        service = Service("ok", self._reply, model=upstream, rules=rules)
        performance = service.respond(self.requests[mode], wire=self._wire, key="one")
        if body is not None:
            performance = service.respond(body, wire=self._wire, key="one")
        return service.requests[-1], [act.data for act in performance.acts if isinstance(act, Send)]
