"""One question in HTTP/1.1, and its answer with the moment of every piece.

Rule: h11 says what the bytes mean; this file only carries them, and notes how the answer ended.
"""

import asyncio
import contextlib

import h11

from midstream.doctor.probe.heard import End, Heard
from midstream.doctor.probe.request import BODY_BYTES_MAX, Request
from midstream.doctor.probe.road import NoRoad, Road, Target, open_road

# A head that is longer is nobody's answer to a probe.
HEAD_BYTES_MAX = 256 << 10

# So much is handed over at a time, that an answer in the middle of a large question is seen.
_PIECE_BYTES = 64 << 10


async def ask(to: Target, request: Request, *, insecure: bool = False) -> Heard:
    """The answer, however it comes; never an exception."""
    heard = Heard("http/1.1")
    loop = asyncio.get_running_loop()
    begun_at = loop.time()
    try:
        road = await open_road(to, ["http/1.1"], insecure=insecure)
    except NoRoad as problem:
        heard.end, heard.detail, heard.end_at_s = "refused", str(problem), loop.time() - begun_at
        return heard
    asked = _Asked(road, heard)
    upload = asyncio.create_task(asked.send(to, request))
    try:
        await asked.listen(request)
    finally:
        upload.cancel()
        # An answer in the middle of the question ends the question.
        with contextlib.suppress(asyncio.CancelledError, h11.LocalProtocolError):
            await upload
        await road.aclose()
    return heard


class _Asked:
    def __init__(self, road: Road, heard: Heard) -> None:
        self._road = road
        self._heard = heard
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()
        self._kept_bytes = 0

    async def send(self, to: Target, request: Request) -> None:
        headers = [("host", to.authority), *request.all_headers()]
        if to.proxy is not None and not to.secure and to.proxy.authorization:
            headers.append(("proxy-authorization", to.proxy.authorization))
        head = h11.Request(method="POST", target=to.form, headers=headers)
        await self._road.write(self._http.send(head) or b"")
        for at in range(0, len(request.body), _PIECE_BYTES):
            data = request.body[at : at + _PIECE_BYTES]
            await self._road.write(self._http.send(h11.Data(data=data)) or b"")
        self._http.send(h11.EndOfMessage())
        self._heard.sent_at_s = self._loop.time() - self._begun_at

    async def listen(self, request: Request) -> None:
        leaves = request.leave_at_s is not None and request.leave_at_s < request.wait_s
        until_s = request.leave_at_s if leaves and request.leave_at_s is not None else request.wait_s
        while True:
            news = await self._road.news(self._begun_at + until_s)
            if news is None:
                return self._end(self._loop.time(), "left" if leaves else "waited")
            at, data = news
            if not data and self._road.ended == "reset":
                return self._end(at, "reset", "RST")
            if self._fed(at, data):
                return

    def _fed(self, at: float, data: bytes) -> bool:
        """Give the bytes to h11; whether the answer is over."""
        try:
            self._http.receive_data(data)
            while True:
                match self._http.next_event():
                    case h11.NEED_DATA | h11.PAUSED:
                        break
                    case h11.InformationalResponse():
                        pass
                    case h11.ConnectionClosed():
                        self._end(at, "broken", "closed before any answer")
                        return True
                    case h11.Response() as response:
                        self._head(at, response)
                    case h11.Data(data=piece):
                        self._piece(at, bytes(piece))
                    case h11.EndOfMessage():
                        self._end(at, "unframed" if self._heard.framing == "close" else "complete")
                        return True
        except h11.RemoteProtocolError as problem:
            # h11 says the same of a connection that was closed and of bytes that are no HTTP.
            early = not data and self._heard.status is None
            said = "closed before any answer" if early else str(problem).partition("(")[0].strip()[:200]
            self._end(at, "garbled" if data else "broken", said)
            return True
        if not data:
            self._end(at, "broken", "closed before any answer")
        return not data or self._kept_bytes > BODY_BYTES_MAX

    def _head(self, at: float, response: h11.Response) -> None:
        heard = self._heard
        heard.head_at_s = at - self._begun_at
        heard.status = response.status_code
        heard.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]
        if "chunked" in heard.header("transfer-encoding").lower():
            heard.framing = "chunked"
        else:
            heard.framing = "length" if heard.header("content-length") else "close"

    def _piece(self, at: float, data: bytes) -> None:
        self._kept_bytes += len(data)
        self._heard.pieces.append((at - self._begun_at, data))

    def _end(self, at: float, how: End, detail: str = "") -> None:
        self._heard.end, self._heard.detail, self._heard.end_at_s = how, detail, at - self._begun_at
