"""What a run held: the document's resources where it names them, workers for as long as they were there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from backsweep.flow.costs import run_cost
from backsweep.flow.run import Ran
from backsweep_api.documents import document_from_tree

CLUSTER = {"head": {"cpu": "500m", "memory": "1Gi"}, "workers": {"cpu": "2", "memory": "4Gi"}}
STAGES = {"plan": 10.0, "solve and simulate": 100.0, "compare": 20.0}


def ran(kind: str, workers: int, *, cluster: dict[str, Any] | None = None, fresh: bool = True) -> Ran:
    """Return as much of a finished computation as its cost is made of."""
    tree = {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": "t"},
        "spec": {
            "data": {"name": "sp500-20"},
            "axes": {"profile": ["hrp"]},
            "pricing": {"cpuHour": "36", "memoryGiBHour": "3.6"},
            **({} if cluster is None else {"cluster": cluster}),
        },
    }
    document = document_from_tree(tree)
    prepared = SimpleNamespace(
        document=document, spec=document.normalised()["spec"], times=SimpleNamespace(seconds=STAGES)
    )
    computed = SimpleNamespace(
        fresh={"unit"} if fresh else set(), seconds={("hrp", "sample"): 150.0} if fresh else {}, peak_bytes=3 << 29
    )
    place = SimpleNamespace(kind=kind, workers=workers, is_ray=kind in ("ray", "cluster"))
    found = SimpleNamespace(
        prepared=prepared, computed=computed, place=place, workers=SimpleNamespace(start_seconds=8.0)
    )
    return cast("Ran", found)


def cores(found: Ran) -> dict[str, float]:
    cost = run_cost(found)
    assert cost is not None
    return {stage["stage"]: stage["coreSeconds"] for stage in cost["stages"]}


def test_ray_holds_head_and_workers_from_its_start_until_trials_are_compared() -> None:
    assert cores(ran("ray", 3, cluster=CLUSTER)) == pytest.approx(
        {
            "plan": 5.0,
            "start workers": 8 * (0.5 + 3 * 2),
            "solve and simulate: head": 92 * 0.5,
            "solve and simulate: solving": 150 * 2,
            "solve and simulate: waiting": (92 * 3 - 150) * 2,
            "compare": 20 * (0.5 + 3 * 2),
        }
    )


def test_processes_are_held_until_trials_are_compared() -> None:
    assert cores(ran("processes", 2)) == pytest.approx(
        {"plan": 10, "solve and simulate: solving": 150, "solve and simulate: waiting": 50, "compare": 40}
    )


def test_where_everything_was_stored_one_process_read_it() -> None:
    assert cores(ran("ray", 3, fresh=False)) == {"plan": 10, "solve and simulate": 100, "compare": 20}


def test_memory_is_the_documents_or_the_most_a_worker_held() -> None:
    for cluster, gib, said in (
        (CLUSTER, 4.0, "as the document says"),
        (None, 1.5, "1.50 GiB, the most it was measured"),
    ):
        cost = run_cost(ran("processes", 2, cluster=cluster))
        assert cost is not None
        solving = next(stage for stage in cost["stages"] if stage["stage"].endswith("solving"))
        assert solving["gibSeconds"] == pytest.approx(150 * gib)
        assert said in cost["resources"]
