"""Why a stream ended as it did: one cause for each diagnosis, and the words for it.

Rule: what a cause means and how it is cured stands in `CAUSES`, once; what was seen of it is put in as evidence.
"""

from dataclasses import dataclass

from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.stream import Outcome
from midstream.doctor.recording.facts import How
from midstream.doctor.render import Severity
from midstream.recovery.failure import Kind


@dataclass(frozen=True, slots=True)
class Cause:
    """What is always true of one cause."""

    severity: Severity
    title: str
    means: str
    fix: str
    check: tuple[str, ...] = ()
    prevent: str = ""
    verify: str = ""


_MIDSTREAM = "Put midstream in the client or in front of it: it notices this, and the reply finishes."
_AGAIN = "Record the same request again (`midstream record`): the diagnosis says complete."

CAUSES: dict[str, Cause] = {
    "idle-limit": Cause(
        "error",
        "cut by an idle limit",
        "Nothing came for exactly as long as somebody on the way is willing to wait. The service was still working:"
        " thinking, a tool's input, or a server tool can be silent for minutes.",
        "Let something flow more often than the limit (a ping every 10–15 s resets every idle limit that was measured),"
        " or raise the limit above the longest silence.",
        ("the log of the proxy that has this limit, at this second; its access line says 200",),
        "Keep every idle limit on the way above three pings.",
        _AGAIN,
    ),
    "total-limit": Cause(
        "error",
        "cut by a limit on the whole reply",
        "Bytes were flowing to the end, so this is no idle limit: somebody allows a reply only so long. Pings do not"
        " help against that.",
        "Raise the limit, or switch it off and keep an idle one.",
        ("whether replies that take longer are always cut at the same second",),
        "No limit on the whole of a streamed reply, on any hop.",
        _AGAIN,
    ),
    "client-timeout": Cause(
        "error",
        "the client gave up waiting",
        "Whoever recorded this closed the connection itself, after its own limit. Nothing is known about what the"
        " service would have sent.",
        "Raise the client's read timeout above the longest silence of a reply; the API pings every 15 to 30 s, so a"
        " minute of silence is already suspicious.",
        ("the timeout that the client sets for a read, and whether it counts the whole reply",),
        "Read timeouts, not total ones: a long reply is no failure.",
        _AGAIN,
    ),
    "client-left": Cause(
        "warning",
        "the recording was stopped",
        "Whoever recorded it left before the reply was over. The stream may have been in order.",
        "Record it to its end.",
    ),
    "no-answer": Cause(
        "error",
        "there was no reply at all",
        "No connection came about, or it was closed before the first byte of an answer.",
        "Check the address, the name, the proxy and the certificate; then ask again. Nothing was generated.",
        ("that the host answers: `curl -v` of the same URL",),
    ),
    "silent-cut": Cause(
        "error",
        "cut in silence: the transport says that all is well",
        "The body ended as if it were complete, and the message is not: no `message_stop`. Official SDKs raise nothing"
        " for this and hand out half a reply as if it were whole.",
        "Never take the end of the body for the end of the message: check for `message_stop`. " + _MIDSTREAM,
        (
            "which proxies stand between: old Caddy, lighttpd and HAProxy over HTTP/2, Varnish over HTTP/2, and nginx"
            " before 1.29.7 without `proxy_http_version 1.1` end broken streams cleanly",
            "a relay of your own that swallows exceptions, or Starlette's `BaseHTTPMiddleware`",
        ),
        "`proxy_http_version 1.1` in nginx, HTTP/1.1 or 2 with framing on every hop; see `midstream lint`.",
        _AGAIN,
    ),
    "cut": Cause(
        "error",
        "the connection was lost",
        "Bytes were flowing, and no limit that is known fits: somebody closed or dropped the connection. A restart or a"
        " deployment of a hop, a crash, an overload, a network that changed.",
        "Ask again, or go on from what arrived. " + _MIDSTREAM,
        (
            "whether other streams were cut in the same second: then it was a reload or a stop",
            "the logs of the hops: nginx says `upstream prematurely closed connection`, HAProxy `SD--`, Envoy `UPE`",
        ),
        "Let hops drain on reload (no `worker_shutdown_timeout` or `hard-stop-after` below the longest stream).",
        _AGAIN,
    ),
    "cut-unknown": Cause(
        "error",
        "the stream ends early, and the recording does not say how",
        "The message is not whole. A bare file knows neither how the connection ended nor when things came, so a client"
        " that left, a limit and a lost connection look alike.",
        "Record it with times and with its end: `midstream record -- curl …`. " + _MIDSTREAM,
    ),
    "nothing": Cause(
        "error",
        "there is nothing in it",
        "Nothing came, or whoever wrote this file did not keep what came. An empty reply with status 200 is a failure"
        " too, though no client of the transport sees one.",
        "Record it with its headers and its end: `midstream record -- curl …`.",
    ),
    "stream-error": Cause(
        "error",
        "the service reported an error inside the stream",
        "The status was 200, and then an error came as an event. It ends the stream; what came before it is not the"
        " whole reply.",
        "Treat it like the HTTP status that it stands for. " + _MIDSTREAM,
        prevent="Catch `APIStatusError` around the reading of the stream too: its `status_code` is 200, `type` tells.",
    ),
    "http-error": Cause(
        "error",
        "an error came instead of a stream",
        "The request was answered with an error; no part of a reply was sent.",
        "See what the error says: `midstream explain` knows it.",
    ),
    "not-a-stream": Cause(
        "error",
        "this is not a stream of the Messages API",
        "Somebody else answered, or the request asked for something else; or this file is not what came over the wire.",
        'Check the URL, `"stream": true`, and who stands on the way.',
        ("the first line of the body, and the `content-type`",),
    ),
    "garbled": Cause(
        "error",
        "the bytes are not the protocol from here on",
        "What came is damaged, or in an order that no message has. What stands before it came in order.",
        "Find out who rewrites bodies on the way: a gateway that translates between APIs, or a recorder that changes"
        " bytes. Then ask again.",
        ("the same request without the gateway",),
    ),
    "stop-missing": Cause(
        "warning",
        "the content is whole, and the last event is missing",
        "The stop reason came, so nothing of the reply is lost; but clients that wait for the last event report a"
        " failure, or wait for ever.",
        "Take a known stop reason for the end. midstream adds the missing event.",
        ("a gateway that translates between APIs and leaves the last event out",),
    ),
    "max-tokens": Cause(
        "warning",
        "the reply used up max_tokens",
        "The stream is in order; the model was cut by the limit of the request. A tool call at its end may be cut and"
        " still parse: it must not be run.",
        "Raise `max_tokens`, or ask the model to go on (`Policy(continue_max_tokens=…)`).",
    ),
    "context-window": Cause(
        "warning",
        "the context window is full",
        "The stream is in order; there was no room for more. The end of the reply is cut.",
        "Make the conversation shorter: compaction, context editing, or a new one.",
    ),
    "refusal": Cause(
        "warning",
        "the reply was declined",
        "A classifier ended it, with status 200. What came before is incomplete and must be discarded; a tool call in"
        " it must not be run. Asking again unchanged is refused again.",
        "Discard it, change the request, or use a server-side fallback.",
    ),
    "batched": Cause(
        "warning",
        "the whole reply came in one go",
        "It was streamed, and somebody on the way held it back to the end: the reader sees nothing for the whole time,"
        " and idle limits strike that a live stream would never meet.",
        "Switch off response buffering and compression for event streams on every hop: in nginx `proxy_http_version"
        " 1.1` and `proxy_buffering off`, elsewhere see `midstream lint`.",
        ("`midstream probe`, which tells the four causes apart",),
        "`X-Accel-Buffering: no` and `Cache-Control: no-transform` from the origin.",
        _AGAIN,
    ),
}
"""By id: what is said of each cause (the contract, proxy-facts §3 and §5, api-facts §1.7)."""

STOP_REASONS = {
    "max_tokens": "max-tokens",
    "model_context_window_exceeded": "context-window",
    "refusal": "refusal",
}
"""The stop reasons that need a word although the stream is in order."""


def causes_of(one: Diagnosis) -> list[str]:
    """The ids of what explains this diagnosis, the main one first; none for a healthy stream."""
    match one.outcome:
        case Outcome.COMPLETE:
            found = [STOP_REASONS[one.stop_reason]] if one.stop_reason in STOP_REASONS else []
            found += ["stop-missing"] if one.stop_missing else []
        case Outcome.ERROR:
            found = ["http-error" if one.protocol == "no stream" else "stream-error"]
        case Outcome.NOT_THE_PROTOCOL:
            begun = bool(one.blocks or one.message_id or one.events) and not one.foreign
            found = ["garbled" if begun else "not-a-stream"]
        case _:
            found = _why_truncated(one)
    return [*found, *(["batched"] if one.batched else [])]


def _why_truncated(one: Diagnosis) -> list[str]:
    how = one.finished.how if one.finished is not None else How.UNKNOWN
    if how is How.STOPPED:
        return ["client-left"]
    if how is How.TIMEOUT:
        return ["client-timeout"]
    if how is How.NO_ANSWER or (one.failure is not None and one.failure.kind is Kind.UNREACHABLE):
        return ["no-answer"]
    if one.place.byte == 0 and one.head is None and how is How.UNKNOWN:
        return ["nothing"]
    silent = how in (How.CLEAN, How.CLOSED)
    if one.suspected is not None:
        return [f"{one.suspected.kind}-limit", *(["silent-cut"] if silent else [])]
    if silent:
        return ["silent-cut"]
    return ["cut-unknown" if how in (How.UNKNOWN, How.DAMAGED) else "cut"]
