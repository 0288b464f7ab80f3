"""The second map on a Ray elsewhere: the question goes through the store, and its small answers come back that way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from backsweep.aggregate.deflated_sharpe import CorrelationSums
from backsweep.aggregate.procedure import Leaders
from backsweep.aggregate.superior_ability import SuperiorAbilityPart
from backsweep.ports import Store
from backsweep.sweep.parts import Chunk, Part, Question
from backsweep_api.canonical import canonical_json

__all__ = ["read_parts", "read_question", "store_parts", "store_question"]

SCALARS = ("ranked", "start", "mean_block", "seed", "metric", "goal")
ARRAYS = ("yardstick", "stops")


def store_question(store: Store, chunks: Sequence[Chunk], question: Question) -> str:
    """Put a question about these chunks into the store and return its digest."""
    tree: dict[str, Any] = {name: getattr(question, name) for name in SCALARS}
    tree |= {name: store.put_array(getattr(question, name)) for name in ARRAYS}
    tree["nets"] = [list(chunk.nets) for chunk in chunks]
    return store.put_object(canonical_json(tree))


def read_question(store: Store, digest: str) -> tuple[list[list[str]], Question]:
    """Return the digests of each chunk's series, and what is asked of them.

    Raises
    ------
    MissingObjectError, CorruptObjectError
    """
    tree = json.loads(store.get_object(digest))
    nets = tree.pop("nets")
    for name in ARRAYS:
        tree[name] = store.open_array(tree[name])
    tree["mean_block"] = float(tree["mean_block"])  # canonical JSON writes 2.0 as 2
    return nets, Question(**tree)


def store_parts(store: Store, parts: Sequence[Part]) -> dict[str, str]:
    """Put the parts into the store as arrays, one row a part, and return name -> digest."""
    arrays = {
        "total": np.stack([part.correlation.total for part in parts]),
        "count": np.array([part.correlation.count for part in parts], dtype=np.int64),
        "statistic": np.array([part.superior.statistic for part in parts], dtype=np.float64),
        "maxima": np.stack([part.superior.maxima for part in parts]),
        "trials": np.array([part.superior.trials for part in parts], dtype=np.int64),
        "score": np.stack([part.leaders.score for part in parts]),
        "position": np.stack([part.leaders.position for part in parts]),
    }
    return {name: store.put_array(array) for name, array in arrays.items()}


def read_parts(store: Store, digests: dict[str, str]) -> list[Part]:
    """Return the parts that `store_parts` stored.

    Raises
    ------
    MissingObjectError, CorruptObjectError
    """
    found = {name: store.open_array(digest) for name, digest in digests.items()}
    return [
        Part(
            correlation=CorrelationSums(found["total"][row], int(found["count"][row])),
            superior=SuperiorAbilityPart(
                float(found["statistic"][row]), found["maxima"][row], int(found["trials"][row])
            ),
            leaders=Leaders(found["score"][row], found["position"][row]),
        )
        for row in range(len(found["count"]))
    ]
