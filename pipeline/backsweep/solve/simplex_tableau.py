"""Where the windows of the bounded simplex stand: the basis, its inverse, and how its rounding is removed.

The theory is in `bounded_simplex`. What is inverted is

    K = [[0, 1'], [1, R_TS]],      K (threshold, w_S) = (net - sum of the other weights, -R_T w of the others)

with T the tight scenarios (rows) and S the basic assets (columns), each in a slot of its own; empty slots
are zero rows and columns of the inverse, so that each of the four kinds of exchange (asset or scenario
enters, asset or scenario blocks) is the same rank-one update.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from backsweep.arrays import Boolean, Float, Integer

__all__ = ["REST", "TAIL", "TIGHT", "Box", "Tableau"]

Scalar = TypeVar("Scalar", bound=np.generic)

REST, TAIL, TIGHT = 0, 1, 2
"""Where a scenario stands: its loss under the threshold, beyond it, or at it."""


SHAKE = 1e-7
"""Size of the shaking, in root mean square return for losses and in wealth for weights."""


@dataclass(frozen=True, slots=True)
class Box:
    """Bounds of each weight, (N,), infinity allowed above, the sum of the weights and the size k of the tail."""

    lower: Float
    upper: Float
    net: float
    tail_rows: float


@dataclass(slots=True)
class Tableau:
    """Where A windows stand, looking at P scenarios each and with M slots for the basis.

    Parameters
    ----------
    rows : (A, P, N) returns of the scenarios looked at.
    state : (A, P) REST, TAIL or TIGHT.
    slack : (A, P) loss less the threshold.
    weights : (A, N); the basic ones lie between their bounds, the others at one.
    basic : (A, N) bool.
    threshold : (A,) the value at risk.
    scale : (A,) root mean square return, the unit of tolerances.
    asset_slot, row_slot : (A, M) the asset, the scenario in each slot; -1 where empty.
    inverse : (A, M + 1, M + 1) of K: row 0 is the threshold's, column 0 the budget's.
    tight : (A, M + 1, N) returns of the tight scenarios, after a row of ones.
    stalls : (A,) pivots since the last progress.
    broken : (A,) bool, True where arithmetic gave out.
    """

    rows: Float
    state: NDArray[np.int8]
    slack: Float
    weights: Float
    basic: Boolean
    threshold: Float
    scale: Float
    asset_slot: Integer
    row_slot: Integer
    inverse: Float
    tight: Float
    stalls: Integer
    broken: Boolean

    def take(self, windows: Boolean) -> Tableau:
        """Return a copy with only the marked windows."""
        return Tableau(*(getattr(self, field.name)[windows] for field in fields(self)))

    def join(self, other: Tableau) -> Tableau:
        """Return a tableau of these windows and then those of `other`."""
        return Tableau(
            *(np.concatenate([getattr(self, field.name), getattr(other, field.name)]) for field in fields(self))
        )

    def widen(self, slots: int) -> None:
        """Make room for `slots` more assets and scenarios in the basis."""
        beside, after = ((0, 0), (0, slots)), ((0, 0), (0, slots), (0, 0))
        self.asset_slot = np.pad(self.asset_slot, beside, constant_values=-1)
        self.row_slot = np.pad(self.row_slot, beside, constant_values=-1)
        self.inverse = np.pad(self.inverse, ((0, 0), (0, slots), (0, slots)))
        self.tight = np.pad(self.tight, after)


def products(left: Float, right: Float) -> Float:
    """Row vectors times matrices, window by window: (A, X), (A, X, Y) -> (A, Y)."""
    return np.asarray(np.matmul(left[:, None, :], right)[:, 0, :])


def pick(array: NDArray[Scalar], index: Integer) -> NDArray[Scalar]:
    """One element of each row: (A, X), (A,) -> (A,)."""
    return array[np.arange(len(index)), index]


def shake(tableau: Tableau, windows: Integer) -> None:
    """Push ties apart by small fixed amounts, so that a degenerate vertex is left; `polish` takes them back.

    The dual of the vertex found does not depend on the amounts, so the answer stays exact.
    """
    if not len(windows):
        return
    assets, looked = tableau.weights.shape[1], tableau.state.shape[1]
    spread = 1.0 + (np.arange(1, looked + assets + 1) * 0.6180339887498949) % 1.0
    away = np.choose(tableau.state[windows], [-1.0, 1.0, 0.0])
    tableau.slack[windows] += away * (SHAKE * tableau.scale[windows, None] * spread[:looked])
    tableau.weights[windows] += tableau.basic[windows] * (SHAKE * spread[looked:])


def polish(tableau: Tableau, box: Box) -> None:
    """Remove the rounding of the updates: inverse by Newton-Schulz, then weights, threshold and slacks."""
    columns, members = tableau.asset_slot >= 0, tableau.row_slot >= 0
    matrix = np.zeros_like(tableau.inverse)
    matrix[:, 0, 1:] = columns
    matrix[:, 1:, 0] = members
    picked = np.take_along_axis(tableau.tight[:, 1:], np.maximum(tableau.asset_slot, 0)[:, None, :], axis=2)
    matrix[:, 1:, 1:] = np.where(columns[:, None, :], picked, 0.0)
    for _ in range(2):
        tableau.inverse = 2.0 * tableau.inverse - tableau.inverse @ (matrix @ tableau.inverse)
    defect = tableau.inverse @ matrix
    diagonal = np.arange(1, len(matrix[0]))
    defect[:, diagonal, diagonal] -= columns
    defect[:, 0, 0] -= 1.0
    tableau.broken |= ~(np.abs(defect).max(axis=(1, 2)) < 1e-9)

    others = np.where(tableau.basic, 0.0, tableau.weights)
    target = -np.matmul(tableau.tight, others[:, :, None])[:, :, 0]
    target[:, 0] += box.net
    solution = products(target, tableau.inverse.transpose(0, 2, 1))
    residual = target - products(solution, matrix.transpose(0, 2, 1))
    solution += products(residual, tableau.inverse.transpose(0, 2, 1))
    padded = np.concatenate([others, np.zeros((len(others), 1))], axis=1)
    np.put_along_axis(padded, np.where(columns, tableau.asset_slot, others.shape[1]), solution[:, 1:], 1)
    tableau.weights = np.clip(padded[:, :-1], box.lower, box.upper)
    tableau.broken |= np.abs(tableau.weights - padded[:, :-1]).max(axis=1) > 1e-12
    tableau.threshold = solution[:, 0]
    slack = -np.matmul(tableau.rows, tableau.weights[:, :, None])[:, :, 0] - solution[:, :1]
    tableau.slack = np.where(tableau.state == TIGHT, 0.0, slack)
    wrong = np.abs(slack) > 1e-9 * tableau.scale[:, None]
    moved = wrong & (tableau.state != TIGHT)
    tableau.state = np.where(moved, np.where(slack > 0.0, TAIL, REST), tableau.state).astype(np.int8)
