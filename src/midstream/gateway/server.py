"""The data plane: from a request to whoever answers it.

Rule: one short task for each request; a stream then runs by callbacks, and nothing of the task is left.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from midstream.gateway.asker import Asker
from midstream.gateway.boot import Lobby
from midstream.gateway.credentials import only_credentials
from midstream.gateway.endings import Refusal, refusal
from midstream.gateway.http.heads import Headers
from midstream.gateway.http.inbound import Refused, Request, Response
from midstream.gateway.hub import Hub, head_of
from midstream.gateway.owners import Owners, same
from midstream.gateway.passthrough import pass_on
from midstream.gateway.requests import (
    Target,
    What,
    from_elsewhere,
    is_signed,
    last_event_id,
    make_call,
    no_such_stream,
    retry_of,
    target_of,
)
from midstream.gateway.tokens import Tokens
from midstream.gateway.upstreams.port import Call

LATE_RETRY_S = 600.0
"""A counted retry comes within minutes: that is how long an ended stream that nobody read to its end waits for it."""


@dataclass
class DataPlane:
    """Answers requests."""

    hub: Hub
    lobby: Lobby
    owners: Owners
    tokens: Tokens | None
    body_bytes_max: int
    connect_s: float
    own_too: bool
    """Only this machine can ask: clients without credentials of use may have the gateway's own."""
    on_refused: Callable[[int], None]
    """Told the status of every request that is refused here."""

    async def handle(self, request: Request, response: Response) -> None:
        """One request. Raises `Refused`, for a body that does not come or may not."""
        try:
            await self._answer(request, response)
        except Refused as refused:
            self.on_refused(refused.status)
            raise

    async def _answer(self, request: Request, response: Response) -> None:
        target = target_of(request.method, request.path)
        if isinstance(target, Refusal):
            return self._refuse(response, target)
        if target.what is What.PROBE:
            return response.send(200, [(b"content-type", b"text/plain")], b"midstream\n")
        asker = self._asker(request.headers)
        if isinstance(asker, Refusal):
            return self._refuse(response, asker)
        match target.what:
            case What.STREAM if request.method == "GET":
                await self._read(target, asker, request, response)
            case What.STREAM:
                await self._delete(target, asker, response)
            case What.PASS:
                call = make_call(target, request.method, request.path, request.query, request.headers, None)
                await self._pass_on(call, asker, request, response)
            case _:
                await self._messages(target, asker, request, response)

    def _refuse(self, response: Response, refused: Refusal) -> None:
        self.on_refused(refused.status)
        response.send(refused.status, refused.headers, refused.body)

    def _asker(self, headers: Headers) -> Asker | Refusal:
        """Who asks, or why they may not."""
        if self.tokens is None:
            owner, brought = self.owners.owner_of_headers(headers), only_credentials(headers)
            return Asker(owner, brought=brought, own_too=self.own_too and not from_elsewhere(headers))
        client = self.tokens.who(headers)
        if client is None:
            return refusal(401, "the gateway does not know this token", type="authentication_error")
        return Asker(self.owners.owner_of_client(client.name), client.name, streams_max=client.streams_max)

    # Messages.

    async def _messages(self, target: Target, asker: Asker, request: Request, response: Response) -> None:
        raw = await request.body(self.body_bytes_max)
        call = make_call(target, request.method, request.path, request.query, request.headers, raw)
        if not call.fields and b"".join(raw.split(maxsplit=2)) != b"{}":
            return self._refuse(response, refusal(400, "the body of the request is not a JSON object"))
        if not call.streamed:
            return await self._pass_on(call, asker, request, response)
        key = self.owners.key_of(asker.owner, _asked(call), None)
        again = retry_of(request.headers)
        if again:
            key = self.owners.key_of(asker.owner, _asked(call), again)
        if again is not None and await self._comes_back(key, asker, response, named=bool(again)):
            return None
        refused = self.hub.refuses(asker)
        if refused is not None:
            return self._refuse(response, refused)
        signed = is_signed(call, request.headers) and asker.is_needed(self.hub.routing.upstreams, call)
        stream = self.hub.open(call, asker, key, signed=signed)
        self.hub.attach(stream.head, stream, response, fresh=True)
        assert stream.producer is not None
        stream.producer.start()

    async def _comes_back(self, key: bytes, asker: Asker, response: Response, *, named: bool) -> bool:
        """The same request again: it is given the stream that it made, if its reader broke off and it is still held."""
        hub = self.hub
        find = hub.running_with if named else hub.left_alone
        stream = find(key) or await self.lobby.adopted(key, asker)
        found = await self.lobby.held(key, time.time() - LATE_RETRY_S) if stream is None else None
        if found is not None:
            hub.attach(head_of(found.id), None, response)
            return True
        stream = stream or find(key)  # the same request may have come twice at once
        if stream is None:
            return False
        refused = hub.too_many_readers(stream)
        if refused is not None:
            self._refuse(response, refused)
        else:
            hub.attach(stream.head, stream, response, by_retry=True)
        return True

    async def _pass_on(self, call: Call, asker: Asker, request: Request, response: Response) -> None:
        upstream = self.hub.routing.first_allowed()
        if call.raw is None and upstream.reads_body:
            raw = await request.body(self.body_bytes_max)
            target = Target(What.PASS)
            call = make_call(target, request.method, request.path, request.query, request.headers, raw)
        await pass_on(
            call, asker.credentials_for(upstream, call), upstream, self.hub.pool, request, response, self.connect_s
        )

    # Streams.

    async def _read(self, target: Target, asker: Asker, request: Request, response: Response) -> None:
        after = last_event_id(request.headers)
        if isinstance(after, Refusal):
            return self._refuse(response, after)
        stream = self.hub.find_running(target.stream_id, asker.owner)
        if stream is None:
            info = await self.hub.journal.find(target.stream_id)
            if info is None or not same(info.owner, asker.owner):
                return self._refuse(response, no_such_stream())
            if info.lossy:
                return self._refuse(response, refusal(410, "the journal could not keep the rest of this stream"))
            if info.ended:
                return self._attach_ended(target.stream_id, after, info.offset, response)
            stream = await self.lobby.adopt(info, asker)
            if stream is None:  # nobody can go on with it: its end is about to be written
                return self.hub.attach(head_of(info.id), None, response, after=after)
        refused = self.hub.too_many_readers(stream)
        if refused is None and stream.producer is not None and after > stream.producer.offset:
            refused = _behind_its_end(stream.producer.offset)
        if refused is not None:
            return self._refuse(response, refused)
        self.hub.attach(stream.head, stream, response, after=after)

    def _attach_ended(self, id: str, after: int, offset: int, response: Response) -> None:
        if after > offset:
            return self._refuse(response, _behind_its_end(offset))
        self.hub.attach(head_of(id), None, response, after=after)

    async def _delete(self, target: Target, asker: Asker, response: Response) -> None:
        info = await self.hub.journal.find(target.stream_id)
        if info is None or not same(info.owner, asker.owner):
            return self._refuse(response, no_such_stream())
        stream = self.hub.find_running(target.stream_id, asker.owner)
        if stream is not None and stream.producer is not None:
            stream.producer.cancel()
        elif not info.ended:
            await self.lobby.give_up(target.stream_id)
        if await self.hub.journal.delete(target.stream_id):
            return response.send(204, [], b"")
        return self._refuse(response, refusal(409, "the stream is still being written; try again in a moment"))


def _asked(call: Call) -> bytes:
    """What makes two requests equal."""
    return b"\n".join((call.path.encode(), call.query.encode(), call.raw or b""))


def _behind_its_end(offset: int) -> Refusal:
    """For who has seen what the journal lost: with durability that is less than full, and a crash."""
    return refusal(400, f"the stream has {offset:,} frames, and Last-Event-ID is behind them")
