"""Fields of the document whose work this release does not do: refused with a sentence, never ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from backsweep_api.engines import NATIVE, PEERS
from backsweep_api.errors import NotBuiltError
from backsweep_api.nearest import one_of
from backsweep_api.spec.base import Model
from backsweep_api.spec.document import BacktestSweep, Spec

__all__ = ["NOT_BUILT", "UNBUILT", "Target", "given_fields", "refuse_unbuilt", "table_uris", "unbuilt_problems"]

Target = Literal["local", "cluster"]  # where a document is run: by a person's command, or by the operator

# path below spec -> what to do instead; refused where it is given and differs from what leaving it out means
UNBUILT: dict[tuple[str, ...], str] = {("node_pool",): "no machines are bought for a sweep; leave it out"}
OF_THE_OPERATOR: dict[tuple[str, ...], str] = {
    ("suspend",): "a run on this machine is stopped by Ctrl-C and goes on when it is started again; write false"
}
NOT_BUILT = "is not built in this release"


def refuse_unbuilt(document: BacktestSweep, target: Target = "local") -> None:
    """Refuse what is asked for and not built.

    Parameters
    ----------
    target : where it is run; what only the operator does is refused on a laptop alone.

    Raises
    ------
    NotBuiltError
        With one sentence for each field.
    """
    problems = list(unbuilt_problems(document, target))
    if problems:
        raise NotBuiltError(*problems)


def unbuilt_problems(document: BacktestSweep, target: Target = "local") -> Iterator[str]:
    """Yield one sentence for each field whose work is not built for `target`."""
    spec = document.spec
    yield from _refused(spec, UNBUILT)
    if target == "local":
        yield from _refused(spec, OF_THE_OPERATOR)
    for index, engine in enumerate(spec.axes.engine):
        if engine != NATIVE and engine not in PEERS:
            yield f"spec.axes.engine[{index}]: {engine} {NOT_BUILT}; write {one_of([NATIVE, *PEERS])}"
    right = "a file:// or s3:// URI" if target == "local" else "an s3:// URI"
    for field, uri in table_uris(spec):
        if uri.startswith("https://"):
            yield f"{field}: {uri} {NOT_BUILT}: no table is downloaded; copy it, and write {right}"


def given_fields(spec: Spec, fields: Mapping[tuple[str, ...], str]) -> Iterator[tuple[str, str]]:
    """Yield, for each of `fields` that says something else than leaving it out would, its name and its sentence."""
    for path, sentence in fields.items():
        if _differs(spec, path):
            yield f"spec.{_spelled(spec, path)}", sentence


def _refused(spec: Spec, fields: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    for field, instead in given_fields(spec, fields):
        yield f"{field}: {NOT_BUILT}: {instead}"


def table_uris(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the path and the URI of every table the document names."""
    for index, entry in enumerate(spec.data):
        place = "spec.data" if len(spec.data) == 1 else f"spec.data[{index}]"
        if entry.uri is not None:
            yield f"{place}.uri", entry.uri
        if entry.universe is not None:
            yield f"{place}.universe", entry.universe
        for number, table in enumerate(entry.features):
            yield f"{place}.features[{number}].uri", table.uri


def _differs(spec: Spec, path: tuple[str, ...]) -> bool:
    """Whether the field at `path` says something else than leaving it out would."""
    model: Model | None = spec
    for name in path[:-1]:
        model = getattr(model, name, None)
    return model is not None and bool(getattr(model, path[-1]) != type(model).model_fields[path[-1]].default)


def _spelled(spec: Spec, path: tuple[str, ...]) -> str:
    """Return the path by the names of the document."""
    parts = []
    model: Model = spec
    for name in path:
        parts.append(type(model).model_fields[name].alias or name)
        model = getattr(model, name)
    return ".".join(parts)
