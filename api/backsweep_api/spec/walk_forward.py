"""spec.walkForward, spec.validation and spec.objective: the test rows, and what ranks trials on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Flag, OneOf, RowsOrDay, Whole
from backsweep_api.spec.names import Rows

__all__ = ["LOWER_IS_BETTER", "Metric", "Objective", "Validation", "WalkForward"]

TRAIN_ROWS = 252
TEST_ROWS = 20

Metric = Literal[
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "cvar_95",
    "skew",
    "kurtosis",
    "omega",
    "tail_ratio",
    "turnover",
    "cost_drag",
    "psr",
    "dsr",
]
LOWER_IS_BETTER = ("volatility", "turnover", "cost_drag")


class WalkForward(Model):
    """Where the training and test rows of each window stand."""

    train: Rows | None = Field(
        None, description=f"Training rows of every window: the default of axes.lookback ({TRAIN_ROWS})."
    )
    test: Rows = Field(TEST_ROWS, description="Test rows of a window.")
    step: Rows | None = Field(
        None, description="Rows from one window to the next, at most test; each window contributes that many. Is test."
    )
    purge: Annotated[int, Whole(0, 10_000, "rows")] = Field(
        0, description="Rows left out between training and test; 0 trades at the close it decided on."
    )
    anchored: Annotated[bool, Flag()] = Field(
        False, description="Whether training grows from the first row of the first window, instead of rolling."
    )
    partial: Annotated[Literal["drop", "keep"], OneOf()] = Field(
        "drop", description="Whether a last window with fewer than test rows is kept."
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.step is not None and self.step > self.test:
            yield (
                ("step",),
                f"found {self.step}, more than test {self.test}: rows between windows would be in none; "
                f"write {self.test} or fewer",
            )

    @override
    def normalised(self) -> dict[str, object]:
        plain: dict[str, object] = super().normalised()
        plain.pop("train", None)  # the same as axes.lookback, which the normalised form always gives
        plain["step"] = self.step or self.test
        return plain


class Validation(Model):
    """Rows kept away from every choice."""

    holdout: Annotated[int | str, RowsOrDay(Whole(1, 100_000, "rows"))] | None = Field(
        None, description="The last rows, or the first day from which on rows, never rank."
    )


class Objective(Model):
    """What trials are ranked by."""

    metric: Annotated[Metric, OneOf()] = Field("sharpe", description="Metric of the trials table.")
    goal: Annotated[Literal["maximize", "minimize"], OneOf((("maximise", "maximize"), ("minimise", "minimize")))] = (
        Field("maximize", description="Whether more of the metric is better.")
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.metric in LOWER_IS_BETTER and self.goal == "maximize":
            yield ("goal",), f"found maximize, but the less {self.metric} the better; write minimize"
