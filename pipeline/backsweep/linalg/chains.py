"""Chains of products as tasks: at most a few products a task, one accumulator passed from link to link."""

from __future__ import annotations

from collections.abc import Sequence

from backsweep.linalg.kernels import Recipe, link
from backsweep.linalg.tiles import Handle, TileExecutor

__all__ = ["PRODUCTS_A_TASK", "submit_chain"]

# A task of n products of 1,024-tiles takes 0.04 n s and has 2 n inputs of 8 MiB; a result is 8 MiB whatever n.
PRODUCTS_A_TASK = 4

Factors = Sequence[tuple[Handle, ...]]


def submit_chain(
    executor: TileExecutor,
    recipe: Recipe,
    heads: Sequence[Handle],
    factors: Factors,
    tails: Sequence[Handle] = (),
    first: int = 0,
) -> Handle:
    """Submit a chain and return the handle of its result.

    Parameters
    ----------
    heads, factors, tails : tiles as `Recipe` says; factors has one tuple a product.
    first : the result's first row in the matrix, for messages.
    """
    starts = range(0, max(len(factors), 1), PRODUCTS_A_TASK)
    total: Handle | None = None
    for start in starts:
        ends = start == starts[-1]
        begins = total is None
        opening = heads if total is None else (total,)
        part = [tile for product in factors[start : start + PRODUCTS_A_TASK] for tile in product]
        closing = tails if ends else ()
        result = executor.submit(link, *opening, *closing, *part, recipe=recipe, begins=begins, ends=ends, first=first)
        if total is not None:
            executor.release(total)
        total = result
    assert total is not None  # starts has at least one element
    return total
