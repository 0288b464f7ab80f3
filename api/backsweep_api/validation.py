"""Everything that keeps a document from running where it is meant to run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from backsweep_api.documents import read_document
from backsweep_api.errors import SpecError
from backsweep_api.not_built import table_uris, unbuilt_problems
from backsweep_api.spec.document import BacktestSweep

__all__ = ["Target", "cluster_problems", "validate"]

Target = Literal["local", "cluster"]


def validate(text: str, target: Target = "local") -> list[str]:
    """Return one sentence for each problem of the document in `text`; none if it can run on `target`.

    local: also what this release does not do. cluster: also what only a laptop can do; this release has no operator
    that would run it.
    """
    try:
        document = read_document(text)
    except SpecError as error:
        return list(error.problems)
    if target == "local":
        return list(unbuilt_problems(document))
    return list(cluster_problems(document))


def cluster_problems(document: BacktestSweep) -> Iterator[str]:
    """Yield one sentence for each thing in a document that no cluster can reach."""
    storage = document.spec.storage
    if storage is None:
        yield "spec.storage: is missing; a cluster keeps results in a bucket, so write uri: s3://bucket/prefix"
    elif storage.uri.startswith("file://"):
        yield f"spec.storage.uri: {storage.uri} is a folder of one machine; a cluster needs an s3:// URI"
    for field, uri in table_uris(document.spec):
        if uri.startswith("file://"):
            yield f"{field}: {uri} is a file of one machine; a cluster needs an s3:// or https:// URI"
