"""Fields that only say how a cluster runs a sweep: on one machine they change nothing, and that is told."""

from __future__ import annotations

from collections.abc import Iterator

from backsweep_api.not_built import given_fields
from backsweep_api.spec.document import BacktestSweep

__all__ = ["cluster_only_notes"]

UNUSED = "not used on this machine"
CREDENTIALS = "keys are taken from the environment as boto3 finds them"

# path below spec -> what happens here instead
CLUSTER_ONLY: dict[tuple[str, ...], str] = {
    ("storage", "secret_ref"): CREDENTIALS,
    ("storage", "service_account_name"): CREDENTIALS,
    ("prefect",): "a sweep's flow runs where it is started, and in no work pool",
    ("backoff_limit",): "a run that is lost goes on when it is started again",
    ("active_deadline_seconds",): "a run has no deadline; Ctrl-C stops it",
    ("ttl_seconds_after_finished",): "what a run leaves stays until it is deleted",
}


def cluster_only_notes(document: BacktestSweep) -> Iterator[str]:
    """Yield one sentence for each field that a cluster acts on and one machine does not."""
    spec = document.spec
    if spec.cluster is not None and spec.cluster.existing is None:
        but = "" if spec.pricing is None else ", but for what pricing counts of its head and workers"
        yield f"spec.cluster: {UNUSED}{but}: it says how a cluster is made, and none is"
    for field, instead in given_fields(spec, CLUSTER_ONLY):
        yield f"{field}: {UNUSED}: {instead}"
