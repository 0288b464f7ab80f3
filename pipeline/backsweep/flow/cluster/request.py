"""What a driver on a Ray elsewhere is told: where the store is and what in it describes the sweep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backsweep.errors import InvariantError
from backsweep.ports import Store
from backsweep.settings import numeric_environment
from backsweep.solve.engines.versions import engine_versions
from backsweep.stores.opening import StoreAddress
from backsweep_api.canonical import canonical_json, digest
from backsweep_api.spec.document import BacktestSweep

__all__ = ["DriverRequest", "make_request", "read_request"]


@dataclass(frozen=True, slots=True)
class DriverRequest:
    """A sweep by reference: everything is in the store, so that nothing is pickled and a driver can start again.

    Parameters
    ----------
    store : where the sweep's store is; credentials come from the cluster's own environment.
    document : digest of the normalised document's object.
    datasets : digests of the data sets' objects.
    strategy : what the plan needs to know of spec.strategy; None without one.
    environment : the numeric environment in which the units were planned.
    engines : versions of the packages of each peer the units were planned with.
    points : digest of the points that are planned; None for those of the document's axes.
    question : digest of what is asked of the stored series (see `parts`); None where units are to be computed.
    """

    store: StoreAddress
    document: str
    datasets: tuple[str, ...]
    strategy: Mapping[str, Any] | None
    environment: Mapping[str, str]
    engines: Mapping[str, Mapping[str, str]]
    points: str | None = None
    question: str | None = None

    def to_json(self) -> str:
        """Return the request as the driver's one argument."""
        return canonical_json(asdict(self)).decode()

    def digest(self) -> str:
        """Return the sha256 hex that names this request: the same work in the same store has the same."""
        return digest(asdict(self))


def make_request(
    store: Store,
    address: StoreAddress,
    document: BacktestSweep,
    datasets: Sequence[str],
    strategy: Mapping[str, Any] | None,
) -> DriverRequest:
    """Put the document into the store and return the request that names it.

    Parameters
    ----------
    address : where `store` is, as the cluster can find it.
    datasets : what `put_dataset` returned for each.
    """
    engines = engine_versions(document.spec.axes.engine)
    reference = store.put_object(canonical_json(document.normalised()))
    return DriverRequest(address, reference, tuple(datasets), strategy, numeric_environment(), engines)


def read_request(text: str) -> DriverRequest:
    """Return the request that `to_json` wrote.

    Raises
    ------
    InvariantError
        If it is none.
    """
    try:
        tree = json.loads(text)
        store = StoreAddress(*tree.pop("store"))
        datasets = tuple(tree.pop("datasets"))
        return DriverRequest(store=store, datasets=datasets, **tree)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvariantError(f"the driver was not given a request but {text[:200]!r}") from error
