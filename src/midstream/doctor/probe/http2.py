"""One question in HTTP/2, and its answer with the moment of every piece.

Rule: h2 says what the bytes mean; this file only carries them, and notes how the answer ended.
"""

import asyncio
import contextlib
from collections.abc import Iterator

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import InvalidBodyLengthError, ProtocolError
from h2.settings import SettingCodes

from midstream.doctor.probe.heard import End, Heard
from midstream.doctor.probe.request import BODY_BYTES_MAX, Request
from midstream.doctor.probe.road import NoRoad, Road, Target, open_road

# So that no answer that is asked for ever waits for us.
WINDOW_BYTES = 16 << 20

_STREAM = 1

_FRAME_HEAD_BYTES = 9

# What is only for one connection has no place in HTTP/2.
_ONLY_ONE_HOP = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"})


async def ask(to: Target, request: Request, *, insecure: bool = False) -> Heard:
    """The answer, however it comes; never an exception. Without TLS the other side must know HTTP/2 beforehand."""
    heard = Heard("h2", framing="frames")
    loop = asyncio.get_running_loop()
    begun_at = loop.time()
    if to.proxy is not None and not to.secure:
        heard.end, heard.detail = "refused", "through a proxy, HTTP/2 needs TLS"
        return heard
    try:
        road = await open_road(to, ["h2"], insecure=insecure)
    except NoRoad as problem:
        heard.end, heard.detail, heard.end_at_s = "refused", str(problem), loop.time() - begun_at
        return heard
    try:
        if to.secure and road.alpn != "h2":
            heard.end, heard.detail = "refused", "HTTP/2 is not spoken there"
            return heard
        await _Asked(road, heard, request).run(to)
    finally:
        await road.aclose()
    return heard


class _Asked:
    def __init__(self, road: Road, heard: Heard, request: Request) -> None:
        self._road = road
        self._heard = heard
        self._request = request
        # What a proxy sends is not ours to judge: only what cannot be read at all is an error.
        self._http = H2Connection(H2Configuration(client_side=True, validate_inbound_headers=False))
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()
        self._kept_bytes = 0
        self._window = asyncio.Event()
        self._unread = b""

    async def run(self, to: Target) -> None:
        self._http.initiate_connection()
        self._http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES, SettingCodes.ENABLE_PUSH: 0})
        self._http.increment_flow_control_window(WINDOW_BYTES)
        scheme = "https" if to.secure else "http"
        pseudo = [(":method", "POST"), (":scheme", scheme), (":authority", to.authority), (":path", to.path)]
        headers = [(name, value) for name, value in self._request.all_headers() if name not in _ONLY_ONE_HOP]
        self._http.send_headers(_STREAM, [*pseudo, *headers])
        await self._flush()
        upload = asyncio.create_task(self._upload())
        try:
            await self._listen()
        finally:
            upload.cancel()
            with contextlib.suppress(asyncio.CancelledError, ProtocolError):
                await upload

    async def _upload(self) -> None:
        body, at = self._request.body, 0
        while at < len(body):
            room = min(self._http.local_flow_control_window(_STREAM), self._http.max_outbound_frame_size)
            if room <= 0:
                self._window.clear()
                await self._window.wait()
                continue
            self._http.send_data(_STREAM, body[at : at + room])
            at += room
            await self._flush()
        self._http.end_stream(_STREAM)
        await self._flush()
        self._heard.sent_at_s = self._loop.time() - self._begun_at

    async def _flush(self) -> None:
        if data := self._http.data_to_send():
            await self._road.write(data)

    async def _listen(self) -> None:
        leave_at_s, wait_s = self._request.leave_at_s, self._request.wait_s
        leaves = leave_at_s is not None and leave_at_s < wait_s
        until = self._begun_at + (leave_at_s if leaves and leave_at_s is not None else wait_s)
        while True:
            news = await self._road.news(until)
            if news is None:
                self._end(self._loop.time(), "left" if leaves else "waited")
                return await self._cancel()
            at, data = news
            if not data:
                detail = "RST" if self._road.ended == "reset" else "the connection was closed inside the stream"
                return self._end(at, "reset" if self._road.ended == "reset" else "broken", detail)
            if self._fed(at, data):
                return await self._flush()
            await self._flush()

    def _fed(self, at: float, data: bytes) -> bool:
        """Give the bytes to h2; whether the answer is over."""
        try:
            for frame in self._frames(data):
                # All of them, whichever is the last word.
                over = [self._happened(at, event) for event in self._http.receive_data(frame)]
                if any(over):
                    return True
            return False
        except InvalidBodyLengthError:
            self._end(at, "broken", "END_STREAM before the announced length")
        except (ProtocolError, UnicodeDecodeError) as problem:
            self._end(at, "garbled", (str(problem) or type(problem).__name__)[:200])
        return True

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """One frame at a time: h2 forgets what came before an error, of all that it was given with it."""
        self._unread += data
        while len(self._unread) >= _FRAME_HEAD_BYTES:
            size = _FRAME_HEAD_BYTES + int.from_bytes(self._unread[:3], "big")
            if size > _FRAME_HEAD_BYTES + self._http.max_inbound_frame_size:
                size = len(self._unread)  # it is no frame, as h2 will say
            if size > len(self._unread):
                return
            frame, self._unread = self._unread[:size], self._unread[size:]
            yield frame

    def _happened(self, at: float, event: Event) -> bool:
        match event:
            case ResponseReceived():
                self._head(at, event)
            case DataReceived():
                self._http.acknowledge_received_data(event.flow_controlled_length, _STREAM)
                self._heard.pieces.append((at - self._begun_at, event.data))
                self._kept_bytes += len(event.data)
                return self._kept_bytes > BODY_BYTES_MAX
            case StreamEnded():
                self._end(at, "complete")
                return True
            case StreamReset():
                self._end(at, "reset", f"RST_STREAM {_code(event.error_code)}")
                return True
            case ConnectionTerminated() if event.error_code or (event.last_stream_id or 0) < _STREAM:
                self._end(at, "broken", f"GOAWAY {_code(event.error_code)}")
                return True
            case WindowUpdated():
                self._window.set()
        return False

    def _head(self, at: float, event: ResponseReceived) -> None:
        self._heard.head_at_s = at - self._begun_at
        self._heard.headers = [(_text(name), _text(value)) for name, value in event.headers or []]
        status = self._heard.header(":status")
        self._heard.status = int(status) if status.isdecimal() and len(status) < 5 else None

    async def _cancel(self) -> None:
        with contextlib.suppress(ProtocolError):
            self._http.reset_stream(_STREAM, ErrorCodes.CANCEL)
        await self._flush()

    def _end(self, at: float, how: End, detail: str = "") -> None:
        self._heard.end, self._heard.detail, self._heard.end_at_s = how, detail, at - self._begun_at


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _code(code: ErrorCodes | int | None) -> str:
    number = int(code or 0)
    name = ErrorCodes(number).name if number in ErrorCodes._value2member_map_ else "UNKNOWN"
    return f"{name}({number})"
