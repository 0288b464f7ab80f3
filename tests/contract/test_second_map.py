"""The second map: the stored series are read by whoever computed them, and the parts are the same to the byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contract.ray_head import Head, ray_head

from backsweep.flow import Site, SiteRay, prepare, read_sweep
from backsweep.flow import run as flow_run
from backsweep.flow.finish import rules_of
from backsweep.flow.run import Ran, ask_workers, run_blocks, workers_of
from backsweep.sweep import parts as second_map
from backsweep.sweep.comparison import compare
from backsweep.sweep.parts import Chunk, Part, Question, ask_here

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: parts}
spec:
  data: {name: sp500-20, start: "2009-01-02", end: "2014-12-31"}
  storage: {uri: STORE}
  axes:
    profile: [inverse_volatility, min_variance, hrp, risk_parity]
    covariance: [sample, ledoit_wolf, ewma]
    lookback: [126, 252]
"""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut few trials into several chunks."""
    monkeypatch.setattr(second_map, "CHUNK", 5)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_head(tmp_path_factory.mktemp("home")) as started:
        yield started


def flat(part: Part) -> list[Any]:
    correlation, superior, leaders = part.correlation, part.superior, part.leaders
    arrays = [correlation.total, superior.maxima, leaders.score, leaders.position]
    return [*(array.tobytes() for array in arrays), correlation.count, superior.statistic, superior.trials]


class Watched:
    """What was asked, and answered by the workers and in this process."""

    def __init__(self, ran: Ran) -> None:
        self.ran = ran
        self.there: list[Part] = []
        self.here: list[Part] = []

    def __call__(self, chunks: Sequence[Chunk], question: Question) -> list[Part]:
        assert len(chunks) > 3
        self.there = ask_workers(self.ran)(chunks, question)
        self.here = ask_here(self.ran.prepared.store, self.ran.prepared.datasets[0].returns)(chunks, question)
        return self.there


def same_parts(folder: Path, execution: str) -> Ran:
    """Run the document there and have its series read; return what was run."""
    text = f"{DOCUMENT}  {execution}\n".replace("STORE", (folder / "store").as_uri())
    prepared = prepare(read_sweep(text, []), folder)
    with workers_of(prepared) as workers:
        ran = run_blocks(prepared, workers, lambda _: None)
        before = workers.bytes_returned
        watched = Watched(ran)
        compare(ran.series, rules_of(prepared), watched)
        if workers.place.is_ray:
            assert workers.bytes_returned > before
    assert [flat(part) for part in watched.there] == [flat(part) for part in watched.here]
    assert all(np.isfinite(part.superior.statistic) for part in watched.here)
    return ran


def test_by_processes(tmp_path: Path) -> None:
    assert same_parts(tmp_path, "execution: {mode: local, parallelism: 2}").place.kind == "processes"


def test_by_ray_here(tmp_path: Path) -> None:
    assert same_parts(tmp_path, "execution: {mode: ray, parallelism: 2}").place.kind == "ray"


def test_where_trades_are_asked_for(tmp_path: Path) -> None:
    execution = "execution: {mode: local, parallelism: 2}\n  objective: {metric: turnover, goal: minimize}"
    assert same_parts(tmp_path, execution).place.kind == "processes"


def test_by_a_ray_that_is_there(tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
    execution = f"execution: {{mode: ray}}\n  cluster: {{existing: {{address: '{head.address}'}}}}"
    assert same_parts(tmp_path, execution).place.kind == "cluster"


def test_beside_a_ray_of_its_own_little_is_read_without_a_job(
    tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
    text = DOCUMENT.replace("STORE", (tmp_path / "store").as_uri()) + "  execution: {mode: ray}\n"
    site = Site(is_pod=True, ray=SiteRay(head.address, workers=1, wait_seconds=30.0))
    prepared = prepare(read_sweep(text, []), tmp_path, site=site)
    with workers_of(prepared) as workers:
        ran = run_blocks(prepared, workers, lambda _: None)
        computed = workers.bytes_returned
        asked = [compare(ran.series, rules_of(prepared), ask_workers(ran))]
        assert workers.bytes_returned == computed
        monkeypatch.setattr(flow_run, "MOST_BYTES_READ_BESIDE", 0)
        asked.append(compare(ran.series, rules_of(prepared), ask_workers(ran)))
        assert workers.bytes_returned > computed
    assert (asked[0].superior, asked[0].deflation) == (asked[1].superior, asked[1].deflation)
