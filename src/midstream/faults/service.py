"""The played service: which attempt this is, whether it is refused, and what is played.

Rule: the one state behind all three players; it does no I/O, and counts attempts by the key of their stream.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from midstream.faults.acts import Performance, Scene
from midstream.faults.catalogue import Wire
from midstream.faults.cut import Cut, find_cut
from midstream.faults.models import STYLES, go_on
from midstream.faults.play import error_event, play, playable, whole
from midstream.faults.reply import REPLY_NAMES, Reply
from midstream.faults.rules import Asked, refusal
from midstream.faults.script import Fault, Script, ScriptError

# Streams that are remembered: more than any test opens, and a server that runs for weeks does not grow.
STREAMS_MAX = 10_000

# Attempts that are kept to be looked at: likewise.
ATTEMPTS_MAX = 10_000

RULES = ("on", "resume", "off")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as it was received, and what was done about it."""

    key: str
    number: int
    """Which attempt of its stream, from 1."""
    request: Mapping[str, Any]
    wire: Wire
    fault: Fault
    cut: Cut | None
    """Where the request said that the answer was cut; ``None`` for a request for the whole answer."""
    refused: str | None
    """What the API's rules had against it."""
    headers: Mapping[str, str]


@dataclass(slots=True)
class _Stream:
    attempts: int = 0
    request: Mapping[str, Any] | None = None


class Service:
    """Plays a script to whoever asks."""

    def __init__(
        self,
        script: Script | Fault | str = "ok",
        reply: Reply | None = None,
        *,
        model: str = "obedient",
        pace_s: float = 0.0,
        rules: str = "on",
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        """``rules``: ``on`` for every request, ``resume`` for resumes only, ``off``. Raises `ScriptError`."""
        self.script = as_script(script)
        self.requests: list[Attempt] = []
        """The attempts, in order: the newest ones, of a server that runs for long."""
        self._attempts = 0
        self._reply = reply
        self._options = {"model": model, "pace": str(pace_s), "rules": rules, "reply": "text"}
        self._streams: OrderedDict[str, _Stream] = OrderedDict()
        self._on_attempt = on_attempt
        self._check(self._options | dict(self.script.options))

    def respond(
        self,
        request: Mapping[str, Any],
        *,
        wire: Wire = "sse",
        key: str | None = None,
        script: Script | None = None,
        model: str | None = None,
        headers: Mapping[str, str] | None = None,
        streaming: bool = True,
    ) -> Performance:
        """Count the attempt, and say what is to be played. Raises `ScriptError` for a script that cannot be played."""
        script = script or self.script
        options = self._check(self._options | dict(script.options))
        # Without a key several streams are counted as one, and none of them is known by its first request.
        named = key is not None
        key = key if key is not None else f"script {script}"
        stream = self._stream(key)
        fault = script.fault(stream.attempts + 1)
        if not playable(fault.name, wire):
            raise ScriptError(f"{fault.name} cannot be played on the {wire} wire, only on {fault.kind.wires[0]}")
        stream.attempts += 1
        reply = self._reply if self._reply and "reply" not in script.options else Reply.builtin(options["reply"])
        first, stream.request = stream.request, stream.request or request
        known = first.get("messages") if first else None
        cut = find_cut(reply, _messages(request), known if isinstance(known, list) else None)
        asked = Asked(
            request, reply, first if named else None, model or str(request.get("model") or ""), wire, headers or {}
        )
        problem = self._problem(asked, options["rules"], first, resumes=cut is not None)
        attempt = Attempt(key, stream.attempts, request, wire, fault, cut, problem, headers or {})
        self._attempts += 1
        self.requests.append(attempt)
        del self.requests[:-ATTEMPTS_MAX]
        if self._on_attempt:
            self._on_attempt(attempt)
        return self._play(attempt, reply, options, streaming=streaming)

    @staticmethod
    def _problem(asked: Asked, rules: str, first: Mapping[str, Any] | None, *, resumes: bool) -> str | None:
        """What the API has against the request; of a resume alone, only what its caller did not do before."""
        problem = refusal(asked) if rules == "on" or (rules == "resume" and resumes) else None
        if problem is not None and rules == "resume" and first is not None:
            before = refusal(replace(asked, request=first))
            return None if problem == before else problem
        return problem

    def _play(self, attempt: Attempt, reply: Reply, options: Mapping[str, str], *, streaming: bool) -> Performance:
        request_id = f"req_{self._attempts:08d}"
        if attempt.refused and attempt.fault.kind.stage == "stream":
            performance = refused(attempt.refused, attempt.wire, request_id)
        else:
            if attempt.cut is not None:
                reply = go_on(reply, attempt.cut, options["model"], attempt.number)
            scene = Scene(attempt.fault, reply.frames(attempt.wire), attempt.wire, reply.message, request_id)
            if not streaming and attempt.fault.kind.stage == "stream":
                performance = whole(reply.message())
            else:
                performance = play(scene, pace_s=float(options["pace"]))
        name = "x-amzn-requestid" if attempt.wire == "bedrock" else "request-id"
        return performance.with_headers({name: request_id})

    def _stream(self, key: str) -> _Stream:
        stream = self._streams.setdefault(key, _Stream())
        self._streams.move_to_end(key)
        if len(self._streams) > STREAMS_MAX:
            self._streams.popitem(last=False)
        return stream

    @staticmethod
    def _check(options: Mapping[str, str]) -> Mapping[str, str]:
        for name, choices in (("model", tuple(STYLES)), ("reply", REPLY_NAMES), ("rules", RULES)):
            if options[name] not in choices:
                raise ScriptError(f"{name} is one of {', '.join(choices)}, not {options[name]!r}")
        return options


def as_script(script: Script | Fault | str) -> Script:
    """A script from whatever names one: a fault alone is played once. Raises `ScriptError`."""
    if isinstance(script, Script):
        return script
    return Script.once(script) if isinstance(script, Fault) else Script.parse(script)


def refused(text: str, wire: Wire, request_id: str) -> Performance:
    """The 400 that the real API answers."""
    if wire == "bedrock":
        return whole({"message": text}, 400, {"x-amzn-errortype": "ValidationException"})
    return whole(error_event("invalid_request_error", text, request_id), 400, {"x-should-retry": "false"})


def _messages(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = request.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
