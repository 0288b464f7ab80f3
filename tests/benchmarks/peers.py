"""Milliseconds of a full walk-forward of each profile, and how exact its weights are, for us and for peers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tests.benchmarks.cases import Case, real_stocks, synthetic_stocks
from tests.benchmarks.certificates import cvar_gap, quadratic_residual, risk_contribution_residual
from tests.benchmarks.engines import OURS, Walk, pyportfolioopt_fits, skfolio_fits, walk_native, walk_peer
from tests.benchmarks.timing import ROOT, markdown_table, publish, restart_pinned

from backsweep.arrays import Float

NONE = "-"
TITLES = [
    "profile",
    "Backsweep, ms",
    "skfolio, ms",
    "times",
    "PyPortfolioOpt, ms",
    "times",
    "residual: Backsweep",
    "skfolio",
    "PyPortfolioOpt",
    "windows without weights",
]


def residual(profile: str, training: Float, weights: Float) -> float:
    """Return the certificate of one window's weights; NaN where the profile claims no optimum."""
    covariance = np.cov(training, rowvar=False)
    linear: dict[str, Callable[[], Float]] = {
        "min_variance": lambda: np.ones(len(covariance)),
        "max_sharpe": lambda: training.mean(axis=0),
        "max_diversification": lambda: np.sqrt(np.diagonal(covariance)),
    }
    if profile in linear:
        return quadratic_residual(covariance, linear[profile](), weights)
    if profile == "risk_parity":
        return risk_contribution_residual(covariance, weights)
    if profile == "min_cvar":
        return cvar_gap(training, weights, 0.95)
    return float("nan")


def worst_residual(case: Case, profile: str, walk: Walk) -> str:
    """Return the worst certificate over the windows that have weights."""
    starts = case.starts(len(walk.weights))
    found = [
        residual(profile, case.returns[start : start + case.lookback], weights)
        for start, weights in zip(starts, walk.weights, strict=True)
        if not np.isnan(weights).any()
    ]
    return NONE if not found or np.isnan(found).any() else f"{max(found):.0e}"


@dataclass(frozen=True)
class Row:
    """One profile on one case, by every engine that has it."""

    profile: str
    native: Walk
    peers: dict[str, Walk]


def compare(case: Case) -> list[Row]:
    """Solve every profile by every engine."""
    fits = {"skfolio": skfolio_fits(), "PyPortfolioOpt": pyportfolioopt_fits()}
    rows = []
    for profile in OURS:
        peers = {name: walk_peer(case, found[profile]) for name, found in fits.items() if profile in found}
        rows.append(Row(profile, walk_native(case, profile), peers))
    return rows


def cells(case: Case, row: Row) -> list[str]:
    """Return the row as the table shows it."""
    whole = case.walk_forward * 1e3
    shown = [row.profile, f"{row.native.seconds_a_window * whole:.1f}"]
    for name in ("skfolio", "PyPortfolioOpt"):
        walk = row.peers.get(name)
        ratio = walk.seconds_a_window / row.native.seconds_a_window if walk else 0.0
        shown += [f"{walk.seconds_a_window * whole:,.0f}", f"{ratio:,.0f}"] if walk else [NONE, NONE]
    walks = [row.native, *(row.peers.get(name) for name in ("skfolio", "PyPortfolioOpt"))]
    shown += [worst_residual(case, row.profile, walk) if walk else NONE for walk in walks]
    shown.append(", ".join(str(int(np.isnan(walk.weights[:, 0]).sum())) for walk in walks if walk))
    return shown


def section(case: Case, rows: list[Row]) -> str:
    """Return the case's table with what must be said about it."""
    ours = sum(row.native.seconds_a_window for row in rows)
    skfolio = sum(row.peers["skfolio"].seconds_a_window for row in rows)
    whole = case.walk_forward
    total = [f"all {len(rows)}", f"{ours * whole * 1e3:.0f}", f"{skfolio * whole * 1e3:,.0f}"]
    total += [f"{skfolio / ours:,.0f}", *[NONE] * 6]
    sampled = [f"{min(count, whole)}" for count in (case.our_windows, case.peer_windows)]
    text = (
        f"### {case.name}: {case.returns.shape[1]} assets, {whole} windows of {case.lookback} rows\n\n"
        f"Milliseconds of CPU for all {whole} windows, from {sampled[0]} windows solved by Backsweep and "
        f"{sampled[1]} by each peer (fewer than all: extrapolated in proportion). Residuals are the worst over the "
        f"windows solved. Windows without weights are counted in the order Backsweep, skfolio, PyPortfolioOpt."
    )
    return f"{text}\n\n{markdown_table(TITLES, [*(cells(case, row) for row in rows), total])}"


def main() -> None:
    """Compare on twenty real stocks, and on a hundred and five hundred synthetic ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few windows of each: to try the benchmark itself")
    quick = parser.parse_args().quick
    cases = [
        real_stocks(*((40, 4) if quick else (403, 403))),
        synthetic_stocks(100, 504, *((20, 2) if quick else (390, 12))),
        synthetic_stocks(500, 1008, *((4, 1) if quick else (32, 3))),
    ]
    results = [(case, compare(case)) for case in cases]
    intro = (
        "## Profiles against peers\n\nThe same windows, sample covariance, long only, fully invested; times include "
        "the estimates. The peers run with the defaults of their solvers, once a window. A residual is the KKT "
        "residual (min_variance, max_sharpe, max_diversification), the spread of risk contributions (risk_parity) "
        "or the duality gap (min_cvar), by one function for all engines (tests/benchmarks/certificates.py). herc "
        "and nco are the same family of method in skfolio, with other conventions."
    )
    publish("peers", intro, *(section(case, rows) for case, rows in results))
    real, rows = results[0]
    seconds = {row.profile: row.peers["skfolio"].seconds_a_window * real.walk_forward for row in rows}
    record = json.dumps({"skfolio_seconds_a_walk_forward": seconds}, indent=2)
    (ROOT / "build" / "bench" / "peers.json").write_text(record + "\n", encoding="utf-8")


if __name__ == "__main__":
    restart_pinned("tests.benchmarks.peers")
    main()
