"""What belongs to the release and not to a sweep: images, names, limits, deadlines."""

from __future__ import annotations

from dataclasses import dataclass, field

from backsweep_api.spec.execution import Storage

__all__ = ["Deadlines", "PodSize", "Release"]


@dataclass(frozen=True, slots=True)
class PodSize:
    """What a pod asks for, and is limited to."""

    cpu: str
    memory: str


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each state may last, and how long facts may be late, in seconds.

    Parameters
    ----------
    start : from an attempt's beginning (or its admission by Kueue) until cluster and flow both run.
    stop : until nothing of a stopped attempt is left; past it the sweep says what stays.
    run : the longest attempt where the sweep itself sets no limit.
    queue : the longest wait for a place among maxConcurrentSweeps.
    report : from the end of a flow until its termination message must be there.
    lost : how long something that ran may be out of sight before it counts as lost.
    cancel : how long a cancellation may fail before Job and cluster are deleted without it.
    overrun : what deleting may take in the worst case, with the operator down: a budget keeps this much in reserve.
    """

    start: int = 1_800
    stop: int = 900
    run: int = 7 * 86_400
    queue: int = 7 * 86_400
    report: int = 60
    lost: int = 180
    cancel: int = 60
    overrun: int = 300


@dataclass(frozen=True, slots=True)
class Release:
    """One installation of the chart.

    Parameters
    ----------
    image : of the flow pod, and of Ray pods whose sweep names none.
    work_pool : Prefect work pool of sweeps that name none.
    deployment : name of the one Prefect deployment a work pool gets; its runs carry all that differs.
    entrypoint : dotted name of the flow, module.function, in `image`.
    max_concurrent_sweeps : sweeps that may have an active attempt at once.
    ttl_seconds : how long what a finished sweep made is kept, where it does not say.
    poll_seconds : how often Prefect is read, and a running sweep is looked at once time alone may stop it.
    status_seconds : least time between two writes of progress.
    retry_seconds : first wait after an attempt lost to infrastructure; doubled each time, up to the longest.
    storage : the store of sweeps that name none; None where each must name its own.
    job_backoff_limit : pods a flow's Job may start again; at least 1, else Prefect's worker runs a flow twice.
    """

    image: str
    ray_version: str = "2.60.0"
    work_pool: str = "backsweep"
    deployment: str = "sweep"
    flow: str = "backsweep-sweep"
    entrypoint: str = "backsweep.orchestration.pod.run_sweep"
    prefect_ui_url: str | None = None
    storage: Storage | None = None
    image_pull_policy: str = "IfNotPresent"
    max_concurrent_sweeps: int = 20
    ttl_seconds: int = 3_600
    poll_seconds: int = 10
    status_seconds: int = 30
    retry_seconds: int = 10
    longest_retry_seconds: int = 600
    job_backoff_limit: int = 1
    flow_pod: PodSize = PodSize("500m", "1Gi")
    user_id: int = 1_000
    deadlines: Deadlines = field(default_factory=Deadlines)
    copied_labels: tuple[str, ...] = ("team", "cost-center")
