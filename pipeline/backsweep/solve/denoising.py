"""Denoising of a correlation matrix: eigenvalues that noise alone could give are made equal."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float, Integer

__all__ = ["denoise", "fit_noise_variance"]

_BANDWIDTH = 0.01
_CELL = _BANDWIDTH / 2  # width of the cells of the density
_REACH = 12  # cells on either side of an eigenvalue that its kernel reaches: 6 bandwidths
_CANDIDATES = np.arange(1, 201) / 200.0  # values tried for sigma^2


def denoise(covariance: Float, rows: int) -> Float:
    """Return covariances whose correlation has its noise eigenvalues replaced by their mean.

    Sample eigenvalues under the edge of the Marchenko-Pastur law carry no information about which
    assets move together, only noise that an optimiser would take for opportunities. The edge is
    sigma^2 (1 + (N / L)^(1/2))^2; sigma^2 is fitted by `fit_noise_variance`. The trace is preserved, the result
    is scaled back to a unit diagonal, and volatilities stay as they were ("constant residual eigenvalue").

    Parameters
    ----------
    covariance : (B, N, N) float64, sample covariances, symmetric, no NaN.
    rows : L, the number of training rows they were made of.

    Returns
    -------
    (B, N, N) float64. Constant assets are left out of the spectrum (N counts the others) and keep variance
        and covariance 0. One asset, or a spectrum without noise, comes back as it is.

    Source: Lopez de Prado (2020), "Machine Learning for Asset Managers", section 2.5, snippets 2.1 to 2.5.
    Checked in tests/unit/test_solve_denoising.py against a direct transcription.
    """
    variance = np.einsum("bii->bi", covariance)
    volatile = variance > 0
    count = volatile.sum(axis=1)
    result = np.zeros_like(covariance)
    full = count == covariance.shape[1]
    if full.all():
        return _denoise_volatile(covariance, rows)
    if full.any():
        result[full] = _denoise_volatile(covariance[full], rows)
    for window in np.flatnonzero(~full & (count > 0)):
        kept = np.flatnonzero(volatile[window])
        part = np.ix_([window], kept, kept)
        result[part] = _denoise_volatile(covariance[part], rows)
    return result


def _denoise_volatile(covariance: Float, rows: int) -> Float:
    """`denoise` where every asset has a variance."""
    assets = covariance.shape[1]
    deviation = np.sqrt(np.einsum("bii->bi", covariance))
    correlation = covariance / deviation[:, :, None]
    correlation /= deviation[:, None, :]
    values, vectors = np.linalg.eigh(correlation)
    edge = fit_noise_variance(values, rows) * (1.0 + np.sqrt(assets / rows)) ** 2
    signal = values >= edge[:, None]
    noise_count = assets - signal.sum(axis=1)
    rest = np.where(signal, 0.0, values).sum(axis=1) / np.maximum(noise_count, 1)
    # sum over signals of (value - rest) v v', plus rest I
    vectors *= np.sqrt(np.where(signal, np.maximum(values - rest[:, None], 0.0), 0.0))[:, None, :]
    clean: Float = np.matmul(vectors, np.swapaxes(vectors, 1, 2))
    diagonal = np.einsum("bii->bi", clean)
    diagonal += rest[:, None]
    scale = deviation / np.sqrt(diagonal)
    clean *= scale[:, :, None]
    clean *= scale[:, None, :]
    return clean


def fit_noise_variance(values: Float, rows: int) -> Float:
    """Return sigma^2 of the Marchenko-Pastur law nearest to the density of each window's eigenvalues.

    Nearest is the least mean squared difference, over the support of the law, between its density and a
    Gaussian kernel density of the eigenvalues (bandwidth 0.01), as in the source. There a local search starts at
    0.5; with 20 eigenvalues the criterion has dozens of local minima, so here all of 0.005, 0.010, ..., 1
    are tried and the best is taken, the first of equals. Both densities are taken on cells half a bandwidth wide.

    Parameters
    ----------
    values : (B, N) float64, eigenvalues of correlation matrices, no NaN.
    rows : L, the number of training rows.

    Returns
    -------
    (B,) float64.

    Source: Lopez de Prado (2020), snippets 2.2 (fitKDE) and 2.4 (errPDFs, findMaxEval). skfolio evaluates the kernel
    density at the values of the law's density instead of at the eigenvalues' positions; numbers
    differ for that reason.
    """
    assets = values.shape[1]
    ratio = assets / rows
    lower, upper = (1.0 - np.sqrt(ratio)) ** 2, (1.0 + np.sqrt(ratio)) ** 2
    centres = (np.arange(int(np.ceil(upper / _CELL)) + 1) + 0.5).astype(np.float64) * _CELL
    density = _kernel_density(values, centres)
    best = np.full(len(values), np.inf)
    chosen = np.zeros(len(values))
    squares = density * density
    total = np.concatenate((np.zeros((len(values), 1)), np.cumsum(squares, axis=1)), axis=1)
    for block in np.split(_CANDIDATES, [25, 50, 100, 150]):
        first: Integer = np.searchsorted(centres, block * lower)
        last: Integer = np.searchsorted(centres, block * upper)
        start, stop = int(first[0]), int(last[-1])
        place = centres[start:stop, None]
        inside = (np.arange(start, stop)[:, None] >= first) & (np.arange(start, stop)[:, None] < last)
        root = np.sqrt(np.where(inside, (block * upper - place) * (place - block * lower), 0.0))
        law = root / (2.0 * np.pi * ratio * block * place)
        # the kernels are narrow: the cells that the ends of the support cut count by their part inside
        ends = np.stack((block * lower, block * upper)) / _CELL
        cut = np.minimum(ends.astype(np.int64), len(centres) - 1)
        sums = total[:, cut] + (ends - cut) * squares[:, cut]
        error = sums[:, 1] - sums[:, 0] - 2.0 * (density[:, start:stop] @ law) + (law * law).sum(axis=0)
        error /= ends[1] - ends[0]
        error[:, last <= first] = np.inf
        place_of_best = np.argmin(error, axis=1)
        value = np.take_along_axis(error, place_of_best[:, None], axis=1)[:, 0]
        better = value < best
        best[better], chosen[better] = value[better], block[place_of_best[better]]
    return chosen


def _kernel_density(values: Float, centres: Float) -> Float:
    """Return the (B, X) Gaussian kernel density of each row of `values` at the cells' centres."""
    batch, assets = values.shape
    size = len(centres) + 2 * _REACH
    nearest = np.clip(np.floor(values / _CELL).astype(np.int64), -_REACH - 1, len(centres) + _REACH)
    cells = nearest[:, :, None] + np.arange(-_REACH, _REACH + 1)
    distance = (cells + 0.5) * (_CELL / _BANDWIDTH) - values[:, :, None] / _BANDWIDTH
    height = np.exp(-0.5 * distance * distance) / (assets * _BANDWIDTH * np.sqrt(2.0 * np.pi))
    cells += _REACH
    height[(cells < 0) | (cells >= size)] = 0.0
    np.clip(cells, 0, size - 1, out=cells)
    cells += (np.arange(batch) * size)[:, None, None]
    flat = np.bincount(cells.ravel(), weights=height.ravel(), minlength=batch * size)
    return np.ascontiguousarray(flat.reshape(batch, size)[:, _REACH:-_REACH])
