from __future__ import annotations

import numpy as np
import pytest

from backsweep.arrays import Boolean, Float
from backsweep.solve import nonnegative_qp
from backsweep.solve.nonnegative_qp import solve_nonnegative


def factor_covariances(batch: int, rows: int, assets: int, seed: int = 0) -> Float:
    random = np.random.default_rng(seed)
    returns = 0.01 * random.normal(size=(batch, rows, assets)) + 0.01 * random.normal(size=(batch, rows, 1))
    return np.stack([np.cov(window.T) for window in returns])


def kkt_residual(covariance: Float, linear: Float, solution: Float) -> float:
    """Return the residual that the docstring defines, one window, written out."""
    deviation = np.sqrt(np.diag(covariance))
    gain = linear / deviation
    slack = (covariance @ solution - linear) / deviation
    return float(np.abs(np.minimum(solution * deviation, slack)).max() / gain.max())


def test_a_diagonal_covariance_has_its_closed_form() -> None:
    covariance = np.diag([0.01, 0.04, 0.25])[None]
    solution, residual, ok = solve_nonnegative(covariance, np.array([[1.0, -1.0, 0.5]]))
    np.testing.assert_allclose(solution, [[100.0, 0.0, 2.0]], rtol=1e-14)
    assert ok.all()
    assert residual[0] <= 1e-15


def test_two_assets_with_a_dominated_one_leave_it_out() -> None:
    # correlation 0.9: the riskier asset's weight in the unconstrained minimum variance is negative
    covariance = np.array([[[0.01, 0.018], [0.018, 0.04]]])
    solution, _, _ = solve_nonnegative(covariance, np.ones((1, 2)))
    np.testing.assert_allclose(solution, [[100.0, 0.0]], rtol=1e-14)


@pytest.mark.parametrize(("batch", "rows", "assets"), [(50, 60, 20), (5, 150, 100), (5, 30, 100), (20, 12, 20)])
def test_every_window_passes_the_certificate_written_out(batch: int, rows: int, assets: int) -> None:
    covariance = factor_covariances(batch, rows, assets)
    linear = np.random.default_rng(1).normal(size=(batch, assets)) + 0.5
    linear[:, :3] *= 1e-3
    solution, residual, ok = solve_nonnegative(covariance, linear)
    assert (solution >= 0).all()
    for window in np.flatnonzero(ok):
        assert kkt_residual(covariance[window], linear[window], solution[window]) <= 1e-11
    assert residual[ok].max() <= 1e-11
    assert ok.mean() > 0.5


def test_windows_do_not_influence_one_another() -> None:
    covariance = factor_covariances(40, 80, 15)
    together, _, _ = solve_nonnegative(covariance, np.ones((40, 15)))
    alone = np.concatenate([solve_nonnegative(window[None], np.ones((1, 15)))[0] for window in covariance])
    np.testing.assert_allclose(together, alone, rtol=1e-9)


def test_the_same_arrays_give_the_same_bytes() -> None:
    covariance = factor_covariances(30, 40, 25)
    first, second = (solve_nonnegative(covariance, np.ones((30, 25)))[0].tobytes() for _ in range(2))
    assert first == second


def test_read_only_arrays_are_enough() -> None:
    covariance, linear = factor_covariances(3, 40, 5), np.ones((3, 5))
    covariance.flags.writeable = linear.flags.writeable = False
    assert solve_nonnegative(covariance, linear)[2].all()


def test_twins_share_equally() -> None:
    covariance = factor_covariances(10, 60, 6)
    twice = np.block([[covariance, covariance], [covariance, covariance]])
    solution, residual, ok = solve_nonnegative(twice, np.ones((10, 12)))
    single, _, _ = solve_nonnegative(covariance, np.ones((10, 6)))
    assert ok.all()
    assert residual.max() <= 1e-12
    np.testing.assert_allclose(solution[:, :6], solution[:, 6:], rtol=1e-6, atol=1e-9 * single.max())
    np.testing.assert_allclose(solution[:, :6] + solution[:, 6:], single, rtol=1e-6, atol=1e-9 * single.max())


def test_no_positive_linear_term_means_zero() -> None:
    solution, residual, ok = solve_nonnegative(factor_covariances(2, 40, 4), -np.ones((2, 4)))
    assert not solution.any()
    assert not residual.any()
    assert ok.all()


def test_an_asset_without_variance_gets_nothing_or_makes_the_window_unbounded() -> None:
    covariance = factor_covariances(2, 40, 4)
    covariance[:, 0, :] = covariance[:, :, 0] = 0.0
    linear = np.ones((2, 4))
    linear[0, 0] = 0.0
    solution, residual, ok = solve_nonnegative(covariance, linear)
    assert ok.tolist() == [True, False]
    assert solution[0, 0] == 0.0
    assert solution[0, 1:].max() > 0
    assert np.isinf(residual[1])


def test_a_perfect_hedge_with_a_positive_gain_is_unbounded() -> None:
    covariance = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    assert not solve_nonnegative(covariance, np.ones((1, 2)))[2].any()


def test_daqp_takes_over_what_the_other_methods_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    covariance = factor_covariances(3, 60, 8)
    expected, _, _ = solve_nonnegative(covariance, np.ones((3, 8)))

    def give_up(matrix: Float, gain: Float, passive: object) -> tuple[Float, Float]:
        return np.full_like(gain, np.nan), np.ones(len(gain), dtype=bool)

    monkeypatch.setattr(nonnegative_qp, "_pivot", give_up)
    solution, residual, ok = solve_nonnegative(covariance, np.ones((3, 8)))
    assert ok.all()
    assert residual.max() <= 1e-10
    np.testing.assert_allclose(solution, expected, rtol=1e-9)


def test_an_answer_that_no_method_makes_exact_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    covariance = factor_covariances(3, 60, 8)
    exact = nonnegative_qp._pivot

    def round_off(matrix: Float, gain: Float, passive: Boolean) -> tuple[Float, Boolean]:
        units, weak = exact(matrix, gain, passive)
        return units + 1e-8, weak

    monkeypatch.setattr(nonnegative_qp, "_pivot", round_off)
    monkeypatch.setattr(nonnegative_qp, "_ask_daqp", lambda matrix, gain: np.full(8, np.nan))
    _, residual, ok = solve_nonnegative(covariance, np.ones((3, 8)))
    assert not ok.any()
    assert ((residual > 1e-9) & (residual < 1e-7)).all()


def test_lawson_and_hanson_finds_the_same_support_as_pivoting() -> None:
    covariance = factor_covariances(20, 100, 12)
    deviation = np.sqrt(np.einsum("bii->bi", covariance))
    correlation = covariance / deviation[:, :, None] / deviation[:, None, :]
    gain = 1.0 / deviation
    gain /= gain.max(axis=1, keepdims=True)
    solution, _, _ = solve_nonnegative(correlation, gain)
    support = np.stack([nonnegative_qp._descend(*window) for window in zip(correlation, gain, strict=True)])
    np.testing.assert_array_equal(support, solution > 0)
