"""Everything that keeps a document from running where it is meant to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backsweep_api.errors import SpecError
from backsweep_api.not_built import Target, table_uris, unbuilt_problems
from backsweep_api.overrides import read_with_sets
from backsweep_api.spec.document import BacktestSweep

__all__ = ["Target", "cluster_problems", "validate"]


def validate(text: str, target: Target = "local", sets: Sequence[str] = ()) -> list[str]:
    """Return one sentence for each problem of the document in `text` with `sets` applied; none if it can run.

    local: also what this release does not do on one machine. cluster: also what only a laptop can do, and what no
    part of this release does; the API server says the same of most of it (docs/crd.md).
    """
    try:
        document = read_with_sets(text, sets)
    except SpecError as error:
        return list(error.problems)
    if target == "local":
        return list(unbuilt_problems(document))
    return list(cluster_problems(document))


def cluster_problems(document: BacktestSweep) -> Iterator[str]:
    """Yield one sentence for each thing in a document that no cluster can reach, or that no operator does yet."""
    storage = document.spec.storage  # without one the release's own store is used, if it has one: the operator knows
    if storage is not None and storage.uri.startswith("file://"):
        yield f"spec.storage.uri: {storage.uri} is a folder of one machine; a cluster needs an s3:// URI"
    for field, uri in table_uris(document.spec):
        if uri.startswith("file://"):
            yield f"{field}: {uri} is a file of one machine; a cluster needs an s3:// URI"
    yield from unbuilt_problems(document, "cluster")
    yield from _pod_templates(document)


def _pod_templates(document: BacktestSweep) -> Iterator[str]:
    """Yield the environment variables that are given twice, which server-side apply could not merge."""
    cluster = document.spec.cluster
    for part in ("head", "workers"):
        template = getattr(getattr(cluster, part, None), "pod_template", None)
        names = [variable.name for variable in template.env] if template is not None else []
        for index, name in enumerate(names):
            if name in names[:index]:
                path = f"spec.cluster.{part}.podTemplate.env[{index}].name"
                yield f"{path}: found {name} a second time; write each once"
