"""Deletes RayClusters past their delete-after annotation: the chart's CronJob, for when no operator runs.

`python -m backsweep_operator.overdue`. While an operator runs it moves the annotation ahead, and deletes earlier.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

from backsweep_api.errors import TransientError, UserError
from backsweep_api.names import ANNOTATION_DELETE_AFTER
from backsweep_api.status import instant_of
from backsweep_operator.calls import Caller, Server
from backsweep_operator.cluster_login import ClusterLogin
from backsweep_operator.json_logs import log_as_json
from backsweep_operator.kube_api import KubeApi
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import Instant, Kind, Reference
from backsweep_operator.runtime import WallClock
from backsweep_operator.settings import SettingsError
from backsweep_operator.watches import kopf_settings

__all__ = ["delete_overdue", "main"]

logger = logging.getLogger(__name__)

NAMESPACES = "BACKSWEEP_WATCH_NAMESPACES"
ENDED, USER, TRANSIENT = 0, 2, 3


def main() -> int:
    """Look once at every namespace of BACKSWEEP_WATCH_NAMESPACES, and return the exit code.

    0 if nothing overdue is left undeleted, 2 where the setting or the login is wrong, 3 where a call failed.
    """
    log_as_json("info")
    try:
        namespaces = [each.strip() for each in os.environ.get(NAMESPACES, "").split(",") if each.strip()]
        if not namespaces:
            raise SettingsError([f"{NAMESPACES} is not set; list the namespaces to serve, with commas between"])
        return asyncio.run(_look(namespaces))
    except UserError as error:
        logger.error("%s: %s", error.reason, error)
        return USER


async def delete_overdue(kube: KubeApi, namespaces: list[str], now: Instant) -> list[TransientError]:
    """Delete the clusters of ours whose time is over, and return what failed; one failure does not save the others.

    The version that was listed is a precondition: a cluster an operator has just given more time stays.
    """
    failed = []
    for namespace in namespaces:
        try:
            listed = [raw async for page, _ in kube.pages(Kind.CLUSTER, namespace) for raw in page]
        except TransientError as error:
            failed.append(error)
            continue
        for raw in listed:
            if not _is_overdue(raw, now):
                continue
            meta = raw["metadata"]
            try:
                await kube.delete(
                    Reference(Kind.CLUSTER, namespace, meta["name"], meta["uid"], str(meta["resourceVersion"]))
                )
                logger.warning("deleted RayCluster %s/%s: no operator did in time", namespace, meta["name"])
            except TransientError as error:
                failed.append(error)
    return failed


def _is_overdue(raw: Mapping[str, Any], now: Instant) -> bool:
    """Whether a cluster's time is over; one without a time that can be read is the operator's alone."""
    meta = raw["metadata"]
    text = (meta.get("annotations") or {}).get(ANNOTATION_DELETE_AFTER)
    if text is None or "deletionTimestamp" in meta:
        return False
    try:
        return instant_of(text) < now
    except ValueError:
        logger.error(
            "RayCluster %s/%s: %s is %r, no time", meta["namespace"], meta["name"], ANNOTATION_DELETE_AFTER, text
        )
        return False


async def _look(namespaces: list[str]) -> int:
    """Look once, by the pod's own ServiceAccount or a kubeconfig."""
    login = ClusterLogin(kopf_settings())
    caller = Caller(
        Server(
            who="Kubernetes",
            url=login.server,
            headers=login.headers,
            ssl_context=login.ssl_context,
            metrics=OperatorMetrics(),
            jitter=random.random,
        )
    )
    try:
        failed = await delete_overdue(KubeApi(caller, WallClock()), namespaces, time.time())
    finally:
        await caller.close()
    for error in failed:
        logger.error("%s: %s", error.reason, error)
    return TRANSIENT if failed else ENDED


if __name__ == "__main__":
    sys.exit(main())
