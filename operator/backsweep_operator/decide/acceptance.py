"""Whether a sweep can run on this release at all: what only the operator can refuse, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from backsweep_api.spec.cluster import PodTemplate
from backsweep_api.spec.document import BacktestSweep, Spec
from backsweep_operator.model import Snapshot, SweepView

__all__ = ["problems_of"]

OUR_PREFIXES = ("backsweep.dev/", "ray.io/", "kueue.x-k8s.io/", "app.kubernetes.io/managed-by", "batch.kubernetes.io/")
OUR_VARIABLES = ("RAY_", "PREFECT_", "KUBERAY_", "AWS_", "BACKSWEEP_")
OUR_NAMES = ("HOME", "PATH", "PYTHONPATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "OPENBLAS_NUM_THREADS")


def problems_of(snapshot: Snapshot, sweep: SweepView) -> tuple[str, ...]:
    """Return what keeps the sweep from being accepted; none if it can run."""
    if sweep.document is None:
        return sweep.problems or ("spec: cannot be read",)
    return (*sweep.problems, *_release_problems(snapshot, sweep.document))


def _release_problems(snapshot: Snapshot, document: BacktestSweep) -> Iterator[str]:
    """Yield what this release or this namespace does not offer."""
    spec = document.spec
    if spec.storage is None:
        yield "spec.storage: is missing, and this release has no store of its own; write uri: s3://bucket/prefix"
    if spec.node_pool is not None:
        yield "spec.nodePool: is not built in this release; leave it out"
    yield from _strategy_problems(spec)
    for path, account in _accounts(spec):
        if account not in snapshot.service_accounts:
            yield (
                f"{path}: ServiceAccount {account} is not there or not labelled as usable by sweeps; "
                "ask who runs the namespace to label it backsweep.dev/usable-by-sweeps: true"
            )
    for path, template in _templates(spec):
        yield from _template_problems(path, template)


def _strategy_problems(spec: Spec) -> Iterator[str]:
    """Yield what a user's own code lacks: it runs in Ray pods only, from an image of the user's."""
    if spec.strategy is None:
        return
    existing = None if spec.cluster is None else spec.cluster.existing
    if spec.execution.mode == "local":
        yield "spec.execution.mode: found local beside strategy; on a cluster a strategy runs on Ray, so write ray"
    if existing is None and (spec.cluster is None or spec.cluster.image is None):
        yield "spec.cluster.image: is missing; write the image that holds the code of spec.strategy.entrypoint"


def _accounts(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield each ServiceAccount the sweep names, and where."""
    if spec.storage is not None and spec.storage.service_account_name is not None:
        yield "spec.storage.serviceAccountName", spec.storage.service_account_name
    for path, template in _templates(spec):
        if template.service_account_name is not None:
            yield f"{path}.serviceAccountName", template.service_account_name


def _templates(spec: Spec) -> Iterator[tuple[str, PodTemplate]]:
    """Yield the pod templates of head and workers, and where they stand."""
    if spec.cluster is None:
        return
    for name, group in (("head", spec.cluster.head), ("workers", spec.cluster.workers)):
        if group is not None and group.pod_template is not None:
            yield f"spec.cluster.{name}.podTemplate", group.pod_template


def _template_problems(path: str, template: PodTemplate) -> Iterator[str]:
    """Yield labels, annotations and variables by which a sweep would pass for something else."""
    for field, keys in (("labels", template.labels), ("annotations", template.annotations)):
        for key in keys:
            if key.startswith(OUR_PREFIXES):
                yield f"{path}.{field}: {key} is written by the operator, Ray or Kueue; leave it out"
    for index, variable in enumerate(template.env):
        if variable.name.startswith(OUR_VARIABLES) or variable.name in OUR_NAMES:
            yield f"{path}.env[{index}].name: {variable.name} is written by the operator; write another name"
