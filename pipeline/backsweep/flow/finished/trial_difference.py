"""By how much the trials of two sweeps differ, joined by trial id: the same axis values, whatever the data were."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backsweep.aggregate.ranking import competing, rank_trials
from backsweep.aggregate.sensitivity import rank_correlation
from backsweep.arrays import Boolean, Float, Integer
from backsweep.report.tables import columns_of_trials
from backsweep_api.choices import SCENARIOS

__all__ = ["compare_trials"]

MOST_MOVED = 10


class _Table:
    """A trials table: its axes as they are stored, its metrics as numbers, NaN where there is none."""

    def __init__(self, data: bytes) -> None:
        columns = columns_of_trials(data)
        names = list(columns)
        self.ids: list[str] = columns["trial"]
        self.status: list[str] = columns["status"]
        self.facts = list(zip(columns["status"], columns["error"], columns["failed_windows"], strict=True))
        self.axes = {name: columns[name] for name in names[: names.index("status")] if name not in ("trial", "solve")}
        self.metrics: dict[str, Float] = {
            name: values for name, values in columns.items() if isinstance(values, np.ndarray)
        }

    def axes_of(self, row: int) -> dict[str, Any]:
        """Return a trial's axis values; an axis that is dead for it is left out."""
        return {name: values[row] for name, values in self.axes.items() if values[row] is not None}

    def values_of(self, axis: str) -> set[Any]:
        """Return the values an axis has; none where the sweep has no such axis."""
        return set(self.axes.get(axis, []))

    def ranks(self, objective: Mapping[str, Any], best: str | None) -> Integer:
        """Return the rank of each trial by an objective, 0 for one that does not compete, as the sweep ranked them.

        Base scenarios are those of the winner, since no other can win.
        """
        base = np.ones(len(self.ids), dtype=np.bool_)
        if best is not None:
            winner = self.ids.index(best)
            for values in (self.axes[axis] for axis in SCENARIOS if axis in self.axes):
                base &= np.array([value == values[winner] for value in values])
        profiles = [_name(profile) for profile in self.axes.get("profile", [""] * len(self.ids))]
        values = self.metrics[objective["metric"]]
        return rank_trials(values, objective["goal"], self.ids, self.status, competing(profiles, base)).rank


def compare_trials(one: bytes, other: bytes, result: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return which trials only one sweep has, and by how much the common ones differ.

    Parameters
    ----------
    one, other : bytes of their trials tables.
    result, second : the deterministic parts of their manifests; ranks are by the objective of the first.
    """
    left, right = _Table(one), _Table(other)
    _, rows, others = np.intersect1d(left.ids, right.ids, return_indices=True)
    objective = result["document"]["objective"]
    best = [None if each["best"] is None else str(each["best"]["trial"]) for each in (result, second)]
    metrics = [name for name in left.metrics if name in right.metrics]
    pairs = {name: (left.metrics[name][rows], right.metrics[name][others]) for name in metrics}
    same = {name: _same(*pair) for name, pair in pairs.items()}
    facts = np.array([left.facts[row] == right.facts[twin] for row, twin in zip(rows, others, strict=True)], dtype=bool)
    ranks = left.ranks(objective, best[0])[rows], right.ranks(objective, best[1])[others]
    values = pairs[objective["metric"]]
    return {
        "common": len(rows),
        "equal": int(np.logical_and.reduce([facts, *same.values()]).sum()),
        "onlyA": _only(left, set(right.ids)),
        "onlyB": _only(right, set(left.ids)),
        "otherStatus": int((~facts).sum()),
        "metrics": [_metric(name, pairs[name], same[name], [left.ids[row] for row in rows]) for name in metrics],
        "moved": _moved(left, rows, values, ranks),
        "objective": objective["metric"],
        "varied": [
            name for name in {**left.axes, **right.axes} if len(left.values_of(name) | right.values_of(name)) > 1
        ],
        "rankCorrelation": _correlation(values, ranks),
        "winner": {"a": _winner(left, best[0]), "b": _winner(right, best[1]), "changed": best[0] != best[1]},
    }


def _same(left: Float, right: Float) -> Boolean:
    """Return where two columns are equal to the bit; what is not defined in both is equal."""
    alike: Boolean = (left.view(np.int64) == right.view(np.int64)) | (np.isnan(left) & np.isnan(right))
    return alike


def _only(table: _Table, known: set[str]) -> list[dict[str, Any]]:
    return [{"trial": trial, "axes": table.axes_of(row)} for row, trial in enumerate(table.ids) if trial not in known]


def _metric(name: str, pair: tuple[Float, Float], same: Boolean, ids: Sequence[str]) -> dict[str, Any]:
    """Return in how many trials a metric differs, and the trial in which it differs most."""
    defined = ~np.isnan(pair[0]) & ~np.isnan(pair[1])
    apart = np.where(defined, np.abs(pair[1] - pair[0]), -1.0)
    worst = int(np.argmax(apart)) if len(apart) and not same.all() else None
    one_only = np.isnan(pair[0]) != np.isnan(pair[1])
    if worst is None or apart[worst] < 0.0:
        return {"metric": name, "differ": int((~same).sum()), "inOneOnly": int(one_only.sum()), "worst": None}
    return {
        "metric": name,
        "differ": int((~same).sum()),
        "inOneOnly": int(one_only.sum()),
        "worst": float(apart[worst]),
        "trial": ids[worst],
        "a": float(pair[0][worst]),
        "b": float(pair[1][worst]),
    }


def _moved(
    table: _Table, rows: Integer, values: tuple[Float, Float], ranks: tuple[Integer, Integer]
) -> list[dict[str, Any]]:
    """Return the competing trials whose objective moved most, with their ranks then and now."""
    apart = np.where((ranks[0] > 0) & (ranks[1] > 0), np.abs(values[1] - values[0]), np.nan)
    apart = np.where(np.isnan(apart), 0.0, apart)
    order = [place for place in np.argsort(-apart, kind="stable")[:MOST_MOVED].tolist() if apart[place] > 0.0]
    return [
        {
            "trial": table.ids[int(rows[place])],
            "axes": table.axes_of(int(rows[place])),
            "a": float(values[0][place]),
            "b": float(values[1][place]),
            "rankA": int(ranks[0][place]),
            "rankB": int(ranks[1][place]),
        }
        for place in order
    ]


def _correlation(values: tuple[Float, Float], ranks: tuple[Integer, Integer]) -> float | None:
    """Return the rank correlation of the objective over the trials that compete, and have a value, in both."""
    shared = (ranks[0] > 0) & (ranks[1] > 0) & ~np.isnan(values[0]) & ~np.isnan(values[1])
    found = rank_correlation(values[0][shared], values[1][shared])
    return None if np.isnan(found) else found


def _winner(table: _Table, best: str | None) -> dict[str, Any] | None:
    return None if best is None else {"trial": best, "axes": table.axes_of(table.ids.index(best))}


def _name(profile: str | None) -> str:
    """Return the name in a profile as the table has it: a word, or JSON with parameters."""
    text = str(profile)
    return str(json.loads(text)["name"]) if text.startswith("{") else text
