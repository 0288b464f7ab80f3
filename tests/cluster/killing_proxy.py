"""A proxy before an API that kills its client right after a chosen call had its effect, unanswered."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

HOP_HEADERS = {"host", "content-length", "transfer-encoding", "connection"}


@dataclass
class Trigger:
    """Kills after a chosen one of the calls that proxies pass on; `calls` has those since it was armed."""

    calls: list[str] = field(default_factory=list)
    _kill_after: int | None = None
    _kill: Callable[[], None] = lambda: None

    def arm(self, kill_after: int, kill: Callable[[], None]) -> None:
        """Kill after so many calls from now on, once."""
        self.calls = []
        self._kill, self._kill_after = kill, kill_after

    @property
    def armed(self) -> bool:
        return self._kill_after is not None

    def passed(self, call: str) -> None:
        """Take note of a call that had its effect and is not answered yet."""
        if self.armed:
            self.calls.append(call)
            if len(self.calls) == self._kill_after:
                self._kill_after = None
                self._kill()


def is_about_objects(request: web.Request) -> bool:
    """Whether a call to Kubernetes is about objects: no discovery and no Lease."""
    return "/namespaces/" in request.path and "/leases" not in request.path


def is_about_flows(request: web.Request) -> bool:
    """Whether a call to Prefect is made for one sweep: not what is asked every second about all."""
    return not request.path.endswith(("/filter", "/count"))


class KillingProxy:
    """Passes on what comes, in a thread of its own; tells a trigger of the calls that count, watches never.

    Parameters
    ----------
    authority : who vouches for the upstream's certificate, where it has one.
    """

    def __init__(
        self,
        upstream: str,
        port: int,
        trigger: Trigger,
        counts: Callable[[web.Request], bool],
        authority: Path | None = None,
    ) -> None:
        self._upstream = upstream
        self._port = port
        self._trigger = trigger
        self._counts = counts
        self._tls = authority is None or ssl.create_default_context(cafile=authority)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @contextmanager
    def serving(self) -> Iterator[KillingProxy]:
        """Serve until the block is left."""
        self._thread.start()
        assert self._ready.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

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
            if self._counts(request):
                self._trigger.passed(f"{request.method} {request.path}")
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
