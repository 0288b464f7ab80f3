"""Where a sweep's blocks run: in this process, in several, on a Ray started here, or on one that is there already."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backsweep.executors.ray_session import ray_is_installed
from backsweep.flow.site import LAPTOP, Site

__all__ = ["Place", "choose_place"]

SECONDS_WORTH_PROCESSES = 5.0  # under that, starting processes costs more than they save
PROCESSES_START_SECONDS = 1.0
RAY_START_SECONDS = 8.0  # until the first worker has begun; FACTS of a laptop with two cores
CLUSTER_START_SECONDS = 16.0  # of a job that does nothing


@dataclass(frozen=True, slots=True)
class Place:
    """Where blocks run, and what that was decided on.

    Parameters
    ----------
    workers : how many blocks run at once; of a Ray that is there already, how many are assumed.
    here_seconds, ray_seconds : predicted time by the clock with and without Ray.
    reason : why here, in a clause.
    """

    kind: Literal["serial", "processes", "ray", "cluster"]
    workers: int
    here_seconds: float
    ray_seconds: float
    reason: str

    @property
    def is_ray(self) -> bool:
        """Whether blocks are Ray tasks."""
        return self.kind in ("ray", "cluster")

    @property
    def faster(self) -> str:
        """The execution.mode that is predicted to be faster; local where both are equal."""
        return "ray" if self.ray_seconds < self.here_seconds else "local"

    @property
    def where(self) -> str:
        """Return where the sweep runs and why, in a phrase."""
        where = {
            "serial": "in this process",
            "processes": f"in {self.workers} processes",
            "ray": f"on Ray, {self.workers} worker{'s' if self.workers > 1 else ''}",
            "cluster": "on the Ray that is there",
        }[self.kind]
        return f"{where} ({self.reason})"

    @property
    def times(self) -> str:
        """Return both predicted times and the faster mode, in a phrase."""
        return (
            f"{self.here_seconds:.1f} s without Ray, {self.ray_seconds:.1f} s with it: execution.mode: {self.faster} "
            f"is faster"
        )


def choose_place(spec: Mapping[str, Any], serial_tasks: int, predicted_seconds: float, site: Site = LAPTOP) -> Place:
    """Return where the blocks of a sweep run.

    Parameters
    ----------
    spec : the normalised spec.
    serial_tasks : distinct trials that the store lacks.
    predicted_seconds : of one core, for what the store lacks.
    site : where the run is at home.
    """
    execution = spec["execution"]
    if site.is_pod:
        return _place_of_pod(spec, serial_tasks, predicted_seconds, site)
    cores = _cores()
    asked = execution.get("parallelism")
    workers = int(asked) if asked is not None else cores
    existing = spec.get("cluster", {}).get("existing") is not None
    processes = workers if asked is not None or predicted_seconds > SECONDS_WORTH_PROCESSES else 1
    start = 0.0 if processes == 1 else PROCESSES_START_SECONDS
    here_seconds = start + predicted_seconds / min(processes, cores)
    if existing:
        ray_seconds = CLUSTER_START_SECONDS + predicted_seconds / workers
    else:
        ray_seconds = RAY_START_SECONDS + predicted_seconds / min(workers, cores)
    on_ray, reason = _decide(execution, serial_tasks, existing)
    if on_ray:
        return Place("cluster" if existing else "ray", workers, here_seconds, ray_seconds, reason)
    return Place("serial" if processes == 1 else "processes", processes, here_seconds, ray_seconds, reason)


def _place_of_pod(spec: Mapping[str, Any], serial_tasks: int, predicted_seconds: float, site: Site) -> Place:
    """Return where a sweep in a pod runs: on the Ray it was given, or, as few trials are left, in its one process.

    A strategy goes to Ray whatever is left: no code of users runs beside Prefect's credentials.
    """
    if site.ray is None:
        return Place("serial", 1, predicted_seconds, predicted_seconds, "no Ray was made for it")
    workers = site.ray.workers or int(spec["execution"].get("parallelism") or 1)
    ray_seconds = CLUSTER_START_SECONDS + predicted_seconds / workers
    on_ray, reason = _decide(spec["execution"], serial_tasks, existing=True)
    if "strategy" in spec:
        on_ray, reason = True, "a strategy runs on Ray alone"
    kind: Literal["cluster", "serial"] = "cluster" if on_ray else "serial"
    return Place(kind, workers if on_ray else 1, predicted_seconds, ray_seconds, reason)


def _decide(execution: Mapping[str, Any], serial_tasks: int, existing: bool) -> tuple[bool, str]:
    """Return whether Ray is used, and why."""
    mode, threshold = execution["mode"], int(execution["offloadThreshold"])
    if mode != "auto":
        return mode == "ray", f"execution.mode: {mode}"
    if serial_tasks < threshold:
        return False, f"{serial_tasks:,} serial tasks, fewer than execution.offloadThreshold = {threshold:,}"
    many = f"{serial_tasks:,} serial tasks, at least execution.offloadThreshold = {threshold:,}"
    if not existing and not ray_is_installed():
        return False, f"{many}, but Ray is not installed: pip install 'backsweep[ray]'"
    return True, many


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
