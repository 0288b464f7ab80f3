"""Metrics as people read them: their unit, their decimals, and what they mean in a few words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Shown", "metric_text", "ordered", "shown"]

NOT_DEFINED = "–"  # noqa: RUF001  # an en dash, as tables use it


@dataclass(frozen=True, slots=True)
class Shown:
    """How a metric is shown: unit beside its name, factor and decimals of its value, meaning."""

    unit: str
    factor: float
    decimals: int
    meaning: str


METRICS = {
    "sharpe": Shown("a year", 1.0, 2, "mean return above the riskless over its standard deviation"),
    "sortino": Shown("a year", 1.0, 2, "as Sharpe, over the downside deviation"),
    "calmar": Shown("", 1.0, 2, "yearly growth over the deepest drawdown"),
    "cagr": Shown("% a year", 100.0, 1, "compound growth"),
    "total_return": Shown("%", 100.0, 0, "compound growth from the first row to the last"),
    "volatility": Shown("% a year", 100.0, 1, "standard deviation of returns"),
    "max_drawdown": Shown("%", 100.0, 1, "deepest fall from a peak of compounded wealth"),
    "cvar_95": Shown("% a row", 100.0, 2, "mean of the worst 5 % of returns"),
    "skew": Shown("", 1.0, 2, "third standardised moment"),
    "kurtosis": Shown("", 1.0, 1, "fourth standardised moment; a normal distribution has 3"),
    "omega": Shown("", 1.0, 3, "gains over losses, threshold 0"),
    "tail_ratio": Shown("", 1.0, 2, "95 % quantile over the 5 % quantile, without sign"),
    "turnover": Shown("× a year", 1.0, 2, "half the weights traded, without the first purchase"),  # noqa: RUF001
    "cost_drag": Shown("% a year", 100.0, 2, "growth lost to costs"),
    "psr": Shown("%", 100.0, 1, "probability that the true Sharpe ratio is above 0, were it the only trial"),
    "dsr": Shown("%", 100.0, 1, "probability that it is above the best of this sweep's trials without any skill"),
}
PLAIN = Shown("", 1.0, 2, "")
PROBABILITIES = frozenset({"psr", "dsr"})


def shown(name: str) -> Shown:
    """Return how a metric is shown; one without an entry is a plain number."""
    return METRICS.get(name, PLAIN)


def ordered(names: Iterable[str]) -> list[str]:
    """Return the names in the order of the tables, others after them."""
    given = list(names)
    return [name for name in METRICS if name in given] + [name for name in given if name not in METRICS]


def metric_text(name: str, value: float | None) -> str:
    """Return a value in its unit; a probability never rounds to certainty; what is not defined is a dash."""
    if value is None:
        return NOT_DEFINED
    if name in PROBABILITIES and not 0.001 <= value <= 0.999:
        return "> 99.9" if value > 0.5 else "< 0.1"
    how = shown(name)
    text = f"{how.factor * value:,.{how.decimals}f}"
    return text.replace("-", "−")  # noqa: RUF001  # a minus as wide as a digit
