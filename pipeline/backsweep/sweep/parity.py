"""Engines side by side: the same solve by native and by a peer, window by window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backsweep.arrays import Float, Weights
from backsweep.plan.labels import label_of
from backsweep.solve.engines.conventions import convention
from backsweep.sweep.series import SweepSeries
from backsweep.units import NATIVE, Solve, SolveTask
from backsweep_api.canonical import canonical_json
from backsweep_api.trials import solve_axes

__all__ = ["Parity", "compare_engines", "parity_result", "parity_rows"]

POOLED = ("data", "engine", "lookback", "universe")  # axes over whose values the windows of one row are pooled


@dataclass(frozen=True, slots=True, eq=False)
class Parity:
    """One way to solve, by native and by a peer, over all windows of all lookbacks, universes and data sets.

    Parameters
    ----------
    values : the axis values the solves of this row share.
    windows : in which both have weights.
    worst, median : over those windows, of the largest |difference of a weight|; NaN without any.
    certificate, peer_certificate : the worst residual over each one's own windows; NaN where there is none.
    failed, peer_failed : windows in which each has no weights.
    """

    engine: str
    values: Mapping[str, Any]
    solve: Solve
    windows: int
    worst: float
    median: float
    certificate: float
    peer_certificate: float
    failed: int
    peer_failed: int


def compare_engines(series: SweepSeries) -> list[Parity]:
    """Return what native and each peer made of the same solves, in the order of the plan; nothing without peers."""
    pairs: dict[tuple[str, bytes], list[tuple[int, int]]] = defaultdict(list)
    for native, peer in _pairs(series):
        values = series.table.trials[peer].values
        pairs[values["engine"], canonical_json(_shared(values))].append((native, peer))
    return [_compare(series, engine, rows) for (engine, _), rows in pairs.items()]


def parity_result(found: Sequence[Parity]) -> list[dict[str, Any]]:
    """Return the rows as plain values, with what any machine finds again."""
    return [
        {
            "engine": item.engine,
            "values": dict(item.values),
            "windows": item.windows,
            "worst": item.worst,
            "median": item.median,
            "certificate": item.certificate,
            "peerCertificate": item.peer_certificate,
            "failedWindows": item.failed,
            "peerFailedWindows": item.peer_failed,
        }
        for item in found
    ]


def parity_rows(series: SweepSeries, found: Sequence[Parity], seconds: Mapping[tuple[str, str], float]) -> Any:
    """Return the table for people: its axes, and its rows with labels, times and notes.

    Parameters
    ----------
    seconds : (stage, estimator) -> seconds of this run. What the store had took none, and has no time.
    """
    if not found:
        return None
    labels = [{axis: label_of(value) for axis, value in item.values.items()} for item in found]
    seen = {axis: {row[axis] for row in labels if axis in row} for row in labels for axis in row}
    axes = [axis for axis, values in seen.items() if axis == "profile" or len(values) > 1]
    solved = _solved_windows(series)
    rows = []
    for item, described, label in zip(found, parity_result(found), labels, strict=True):
        own = _seconds_a_window(item.solve, NATIVE, solved, seconds)
        theirs = _seconds_a_window(item.solve, item.engine, solved, seconds)
        rows.append(
            {
                **{key: value for key, value in described.items() if key != "values"},
                "axes": {axis: label.get(axis, "-") for axis in axes},
                "secondsAWindow": own,
                "peerSecondsAWindow": theirs,
                "timeRatio": theirs / own if own and theirs else None,
                "note": convention(item.engine, item.solve),
            }
        )
    return {"axes": axes, "rows": rows}


def _pairs(series: SweepSeries) -> list[tuple[int, int]]:
    """Return (row of native, row of a peer) once for each solve that both have."""
    natives: dict[bytes, int] = {}
    peers: dict[str, tuple[bytes, int]] = {}
    for row, trial in enumerate(series.table.trials):
        key = canonical_json({axis: trial.values[axis] for axis in solve_axes(trial.values) if axis != "engine"})
        if trial.values["engine"] == NATIVE:
            natives.setdefault(key, row)
        else:
            peers.setdefault(trial.solve, (key, row))
    return [(natives[key], row) for key, row in peers.values() if key in natives]


def _shared(values: Mapping[str, Any]) -> dict[str, Any]:
    return {axis: values[axis] for axis in solve_axes(values) if axis not in POOLED}


def _compare(series: SweepSeries, engine: str, rows: Sequence[tuple[int, int]]) -> Parity:
    distances: list[Float] = []
    natives: list[Weights] = []
    peers: list[Weights] = []
    for native, peer in rows:
        natives.append(series.weights(native))
        peers.append(series.weights(peer))
        distance = np.abs(natives[-1].values - peers[-1].values).max(axis=1)
        distances.append(distance[~np.isnan(distance)])
    pooled = np.concatenate(distances)
    first = rows[0][1]
    return Parity(
        engine=engine,
        values=_shared(series.table.trials[first].values),
        solve=series.task_of(first).solve,
        windows=len(pooled),
        worst=float(pooled.max()) if len(pooled) else float("nan"),
        median=float(np.median(pooled)) if len(pooled) else float("nan"),
        certificate=_worst_certificate(natives),
        peer_certificate=_worst_certificate(peers),
        failed=sum(len(weights.failures) for weights in natives),
        peer_failed=sum(len(weights.failures) for weights in peers),
    )


def _worst_certificate(found: Sequence[Weights]) -> float:
    residuals = np.concatenate([weights.certificate for weights in found])
    return float(np.nanmax(residuals)) if not np.isnan(residuals).all() else float("nan")


def _solved_windows(series: SweepSeries) -> dict[tuple[str, str], int]:
    """Return (stage, estimator) -> windows solved in this run; (covariance, estimator) counts all its profiles'."""
    solved: dict[tuple[str, str], int] = defaultdict(int)
    for task in series.plan.tasks.values():
        windows = sum(unit.stop - unit.start for unit in task.units if unit.id not in series.plan.present)
        estimator = _estimator(task)
        solved[task.solve.stage, estimator] += windows
        solved["covariance", estimator] += windows
    return solved


def _estimator(task: SolveTask) -> str:
    return "returns" if task.solve.covariance is None else task.solve.covariance.name


def _seconds_a_window(
    solve: Solve, engine: str, solved: Mapping[tuple[str, str], int], seconds: Mapping[tuple[str, str], float]
) -> float | None:
    """Return what a window took in this run, with native's share of its estimates; None where none was solved."""
    estimator = "returns" if solve.covariance is None else solve.covariance.name
    stage = solve.profile if engine == NATIVE else solve.stage
    windows = solved.get((stage, estimator), 0)
    if not windows:
        return None
    found = seconds.get((stage, estimator), 0.0) / windows
    if engine == NATIVE:
        found += seconds.get(("covariance", estimator), 0.0) / solved["covariance", estimator]
    return found
