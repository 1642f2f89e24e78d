"""The second port: health, readiness, metrics, and which streams run.

Rule: reads only, and tells nothing of contents or credentials.
"""

import heapq
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from midstream.gateway.metrics import CONTENT_TYPE, Metrics
from midstream.gateway.requests import is_local
from midstream.gateway.rules import busy
from midstream.gateway.schema import Address
from midstream.gateway.view import View, reasons_not_ready

STREAMS_MAX = 1000
"""As many as a person or a page can use; the oldest, which are the interesting ones."""

BODY_BYTES_MAX = 1024
"""Nobody has a body to send here."""


class Control:
    """Serves the second port."""

    def __init__(self, view: View, metrics: Metrics, listen: Address) -> None:
        self._view = view
        self._metrics = metrics
        self._listen = listen
        self._runner: web.AppRunner | None = None

    async def start(self, label: str = "--control-listen") -> Address:
        """Listens; where, with the port that a 0 stood for. Raises `SettingsError` for an address that is taken."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._only_by_address])
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._exposition)
        app.router.add_get("/streams", self._streams)
        app.on_response_prepare.append(_plain_headers)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._listen.host, self._listen.port).start()
        except OSError as problem:
            await runner.cleanup()
            raise busy(label, self._listen, problem) from None
        self._runner = runner
        return Address(self._listen.host, runner.addresses[0][1])

    async def aclose(self) -> None:
        """Listens no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _only_by_address(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """A page in a browser must not read a loopback port by a name of its own that leads here."""
        if self._listen.loopback and not is_local(request.headers.get("host", "")):
            return _json(403, {"error": "ask for this port by its address, or as localhost"})
        return await handler(request)

    async def _health(self, request: web.Request) -> web.Response:
        return _json(200, {"status": "ok"})

    async def _ready(self, request: web.Request) -> web.Response:
        reasons = reasons_not_ready(self._view)
        return _json(503 if reasons else 200, {"status": "not ready" if reasons else "ready", "reasons": reasons})

    async def _exposition(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"content-type": CONTENT_TYPE})

    async def _streams(self, request: web.Request) -> web.Response:
        streams = list(self._view.streams())
        oldest = heapq.nlargest(STREAMS_MAX, streams, key=lambda stream: stream.age_s)
        return _json(200, {"total": len(streams), "streams": oldest})


def _json(status: int, content: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")


async def _plain_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["cache-control"] = "no-store"
    response.headers["x-content-type-options"] = "nosniff"
    # Which versions run is nobody's business.
    response.headers["server"] = "midstream"
