"""Liveness, readiness and metrics over HTTP; each refusal says why."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from backsweep_operator.metrics import Metrics

__all__ = ["Health", "serve_probes"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Checks = Callable[[], list[str]]


class Health:
    """What is wrong, by who asks.

    Parameters
    ----------
    dead : reasons to start this process anew.
    unready : reasons why it does not serve yet.
    """

    def __init__(self, dead: Checks, unready: Checks) -> None:
        self.dead = dead
        self.unready = unready


async def serve_probes(health: Health, metrics: Metrics, host: str, port: int) -> web.AppRunner:
    """Serve /healthz, /readyz and /metrics until the runner that is returned is cleaned up."""

    async def alive(_: web.Request) -> web.Response:
        return _told(health.dead())

    async def ready(_: web.Request) -> web.Response:
        return _told([*health.dead(), *health.unready()])

    async def measured(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text().encode(), headers={"Content-Type": METRICS_TYPE})

    application = web.Application()
    application.add_routes([web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", measured)])
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _told(reasons: list[str]) -> web.Response:
    if not reasons:
        return web.Response(text="ok\n")
    return web.Response(status=503, text="\n".join(reasons) + "\n")
