"""A relay in Python that tells its client of every break: what the rules for relays are shown on."""

import logging
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger("relay")
client = httpx.AsyncClient(timeout=httpx.Timeout(5, read=120))


async def pieces(reply: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in reply.aiter_raw():
            yield piece
    except httpx.TransportError:
        log.warning("the upstream broke off")
        raise
    finally:
        await reply.aclose()


async def relay(request: Request) -> StreamingResponse:
    asked = client.build_request("POST", f"http://127.0.0.1:8100{request.url.path}", content=await request.body())
    reply = await client.send(asked, stream=True)
    return StreamingResponse(pieces(reply), reply.status_code, {"content-type": reply.headers["content-type"]})


class Logged:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


app = Starlette(routes=[Route("/{path:path}", relay, methods=["POST"])], middleware=[Middleware(Logged)])
if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8080)
