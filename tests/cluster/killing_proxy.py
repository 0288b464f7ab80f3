"""A proxy before the API server that kills its client right after a chosen call had its effect, unanswered."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import aiohttp
from aiohttp import web

HOP_HEADERS = {"host", "content-length", "transfer-encoding", "connection"}


class KillingProxy:
    """Passes on what comes, in a thread of its own; counts calls about objects, not watches, discovery or the Lease.

    `calls` has what was counted since it was armed.
    """

    def __init__(self, upstream: str, authority: Path, port: int) -> None:
        self.calls: list[str] = []
        self._upstream = upstream
        self._port = port
        self._kill_after: int | None = None
        self._kill: Callable[[], None] = lambda: None
        self._tls = ssl.create_default_context(cafile=authority)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def arm(self, kill_after: int, kill: Callable[[], None]) -> None:
        """Kill after so many calls from now on, once."""
        self.calls = []
        self._kill, self._kill_after = kill, kill_after

    @property
    def armed(self) -> bool:
        return self._kill_after is not None

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        session, runner = self._loop.run_until_complete(self._open())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._close(session, runner))
        self._loop.close()

    @staticmethod
    async def _close(session: aiohttp.ClientSession, runner: web.AppRunner) -> None:
        """End the watches of clients that were killed, too."""
        await runner.cleanup()
        await session.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _open(self) -> tuple[aiohttp.ClientSession, web.AppRunner]:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        application = web.Application(client_max_size=2**26)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._pass_on(session, request)

        application.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        return session, runner

    async def _pass_on(self, session: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_HEADERS}
        url = f"{self._upstream}{request.path_qs}"
        async with session.request(request.method, url, headers=headers, data=await request.read() or None) as answer:
            if "watch" in request.query:
                return await self._stream(request, answer)
            body = await answer.read()
            if self.armed and "/namespaces/" in request.path and "/leases" not in request.path:
                self.calls.append(f"{request.method} {request.path}")
                if len(self.calls) == self._kill_after:
                    self._kill_after = None
                    self._kill()
            return web.Response(status=answer.status, body=body, content_type=answer.content_type)

    @staticmethod
    async def _stream(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status)
        await response.prepare(request)
        try:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
        except (ConnectionError, aiohttp.ClientError):
            pass
        return response
