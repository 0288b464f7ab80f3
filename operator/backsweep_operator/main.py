"""Puts the process together, and says by its exit code how it ended."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import random
import signal
import socket
import uuid

from backsweep_api.errors import InvariantError, TransientError, UserError
from backsweep_operator.calls import Caller, Server
from backsweep_operator.cluster_login import ClusterLogin
from backsweep_operator.json_logs import log_as_json
from backsweep_operator.kube_api import KubeApi
from backsweep_operator.leases import LeaseFence, LeaseKeeper, Place, call_seconds, elapsed_clock
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.prefect_api import PrefectApi
from backsweep_operator.probes import Health, serve_probes
from backsweep_operator.runtime import Parts, Runtime, WallClock
from backsweep_operator.settings import OperatorSettings, read_settings
from backsweep_operator.watches import kopf_settings, watch

__all__ = ["main", "operate"]

logger = logging.getLogger(__name__)

PREFECT_AT_ONCE = 4
PREFECT_WRITES_AT_ONCE = 1  # its SQLite takes no more: a second is refused with 503, or waits, and costs it twice
ENDED, USER, TRANSIENT, BUG = 0, 2, 3, 4


def main() -> int:
    """Run the operator until SIGTERM, and return its exit code.

    0 after a stop that was asked for, 2 where settings or login are wrong, 3 where another process leads or an API is
    gone for too long (Kubernetes starts it anew), 4 for a bug.
    """
    log_as_json("info")
    try:
        settings = read_settings(os.environ, f"{socket.gethostname()}_{uuid.uuid4()}")
        log_as_json(settings.log_level)
        asyncio.run(operate(settings))
    except UserError as error:
        for problem in str(error).splitlines():
            logger.error("%s: %s", error.reason, problem)
        return USER
    except InvariantError:
        logger.exception("a bug")
        return BUG
    except TransientError as error:
        logger.error("%s: %s; this process ends", error.reason, error)
        return TRANSIENT
    except Exception:
        logger.exception("this process ends")
        return TRANSIENT
    return ENDED


async def operate(settings: OperatorSettings) -> None:
    """Run the operator in this event loop until SIGTERM or SIGINT.

    Raises
    ------
    LeaseLostError
        If another process leads by now.
    LoginError
        If there is no way into the cluster.
    """
    stop = asyncio.Event()

    def claim_signals() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)

    claim_signals()
    of_kopf = kopf_settings()
    login = ClusterLogin(of_kopf)
    metrics, elapsed, clock, chance = OperatorMetrics(), elapsed_clock(), WallClock(), random.Random()
    fence = LeaseFence(settings.lease_seconds, elapsed)
    longest = call_seconds(settings.lease_seconds)

    def kubernetes(checked: LeaseFence | None) -> Caller:
        return Caller(
            Server(
                who="Kubernetes",
                url=login.server,
                headers=login.headers,
                ssl_context=login.ssl_context,
                metrics=metrics,
                jitter=chance.random,
                fence=checked,
                call_seconds=longest,
            )
        )

    unfenced, fenced = kubernetes(None), kubernetes(fence)
    prefect = Caller(_prefect_server(settings, metrics, fence, chance))
    place = Place(settings.namespace, settings.lease_name, settings.identity, settings.lease_seconds)
    runtime = Runtime(
        Parts(
            settings=settings,
            kube=KubeApi(fenced, clock),
            prefect=PrefectApi(prefect, settings.release.flow, frozenset(settings.watch_namespaces)),
            fence=fence,
            lease=LeaseKeeper(KubeApi(unfenced, clock), place, fence, clock, elapsed),
            metrics=metrics,
            elapsed=elapsed,
            watching=lambda intake: watch(intake, login, of_kopf, settings.watch_namespaces, claim_signals),
            callers=(unfenced, fenced, prefect),
            chance=chance,
        )
    )
    probes = await serve_probes(
        Health(runtime.dead, runtime.unready), metrics, settings.listen_host, settings.listen_port
    )
    try:
        await runtime.run(stop)
    finally:
        await probes.cleanup()


def _prefect_server(
    settings: OperatorSettings, metrics: OperatorMetrics, fence: LeaseFence, chance: random.Random
) -> Server:
    """Return where Prefect is; its credentials go with each request and into no log."""
    headers: dict[str, str] = {}
    if settings.prefect_auth is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(settings.prefect_auth.encode()).decode()
    return Server(
        who="Prefect",
        url=settings.prefect_api_url,
        headers=lambda _: headers,
        ssl_context=None,
        metrics=metrics,
        jitter=chance.random,
        fence=fence,
        call_seconds=call_seconds(settings.lease_seconds),
        at_once=PREFECT_AT_ONCE,
        writes_at_once=PREFECT_WRITES_AT_ONCE,
    )
