"""A peer's windows: versions are checked, what it raises is a failed window with its reason, warnings stay inside."""

from __future__ import annotations

import warnings
from importlib import metadata

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.errors import UserError
from backsweep.solve.engines import versions
from backsweep.solve.engines.windows import BUDGET_ERROR, import_engine, solve_windows
from backsweep.units import Solve

TRAINING = np.random.default_rng(7).normal(size=(4, 30, 3))
FREE = np.arange(4) / 1000


def peer(**changes: object) -> Solve:
    """Return a solve by a peer that needs no package."""
    fields = {"engine": "skfolio", "versions": {}} | changes
    return Solve("min_variance", {}, None, None, None, np.arange(3), **fields)  # type: ignore[arg-type]


def equal(solve: Solve, training: Float, risk_free: float) -> Float:
    return np.full(training.shape[1], 1 / training.shape[1])


def test_each_window_is_given_its_own_rows_and_riskless_return() -> None:
    seen = []

    def fit(solve: Solve, training: Float, risk_free: float) -> Float:
        seen.append((training.copy(), risk_free))
        return equal(solve, training, risk_free)

    weights, failures = solve_windows(fit, peer(), TRAINING, FREE)
    assert not failures
    np.testing.assert_array_equal(weights, 1 / 3)
    assert [free for _, free in seen] == FREE.tolist()
    np.testing.assert_array_equal(np.stack([rows for rows, _ in seen]), TRAINING)


def test_what_a_peer_raises_or_gives_wrongly_is_a_failed_window_with_its_reason() -> None:
    answers: list[Float | Exception] = [
        ValueError("no optimum\nwith a long story"),
        np.array([np.nan, 0.5, 0.5]),
        np.array([0.4, 0.3, 0.3 - 2 * BUDGET_ERROR]),
        RuntimeError(),
    ]

    def fit(solve: Solve, training: Float, risk_free: float) -> Float:
        answer = answers[round(risk_free * 1000)]
        if isinstance(answer, Exception):
            raise answer
        return answer

    weights, failures = solve_windows(fit, peer(), TRAINING, FREE)
    assert np.isnan(weights).all()
    assert failures == {
        0: "skfolio raised ValueError: no optimum",
        1: "skfolio gave weights that are not finite",
        2: "skfolio gave weights that sum to 0.998",
        3: "skfolio raised RuntimeError",
    }


@pytest.mark.parametrize("error", [MemoryError(), ImportError("cvxpy")])
def test_what_says_something_about_this_machine_is_no_failed_window(error: Exception) -> None:
    def fit(solve: Solve, training: Float, risk_free: float) -> Float:
        raise error

    with pytest.raises(type(error)):
        solve_windows(fit, peer(), TRAINING, FREE)


def test_warnings_of_a_peer_stay_inside_and_its_chance_is_the_same_in_every_window() -> None:
    def fit(solve: Solve, training: Float, risk_free: float) -> Float:
        warnings.warn("convergence was hoped for", stacklevel=1)
        np.log(np.zeros(1))
        drawn = np.random.random(3)  # noqa: NPY002  # what a careless peer does
        return np.asarray(drawn / drawn.sum())

    weights, failures = solve_windows(fit, peer(), TRAINING, FREE)
    assert not failures
    again, _ = solve_windows(fit, peer(), TRAINING[2:], FREE[2:])
    np.testing.assert_array_equal(weights, np.tile(weights[0], (4, 1)))
    np.testing.assert_array_equal(weights[2:], again)


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    assert versions.engine_versions(["native"]) == {}
    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UserError) as refused:
        versions.engine_versions(["native", "pyportfolioopt"])
    assert str(refused.value) == (
        "spec.axes.engine: pyportfolioopt needs pyportfolioopt, which is not installed: pip install "
        "'backsweep[engines]'"
    )


def test_other_versions_than_planned_are_refused() -> None:
    planned = versions.engine_versions(["skfolio"])["skfolio"]
    assert set(planned) == set(versions.PACKAGES["skfolio"])
    versions.check_versions("skfolio", planned)
    with pytest.raises(UserError, match=r"planned with cvxpy 0\.1, and this process has .*; install the same version"):
        import_engine(peer(versions={**planned, "cvxpy": "0.1"}))
