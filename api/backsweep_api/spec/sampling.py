"""spec.sampling and spec.strategy: which points of the axes are run, and the user's own code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from backsweep_api.canonical import canonical_json
from backsweep_api.nearest import one_of
from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Flag, OneOf, Text, Whole
from backsweep_api.spec.names import ParameterName
from backsweep_api.spec.ranges import ParameterAxis, Range

__all__ = ["SEARCH_ROUNDS", "Sampling", "Strategy"]

SEARCH_ROUNDS = 10

USES: dict[str, tuple[str, ...]] = {
    "grid": (),
    "random": ("count", "seed"),
    "sobol": ("count", "seed"),
    "search": ("count", "seed", "rounds"),
}


class Sampling(Model):
    """Which points of the choice axes are run; every scenario is run for each of them."""

    method: Annotated[Literal["grid", "random", "sobol", "search"], OneOf()] = Field(
        "grid",
        description="grid: all; random: count of them, none twice; sobol: count evenly spread points, ranges allowed; "
        "search: rounds of count points, each proposed from what the rounds before it found.",
    )
    count: Annotated[int, Whole(1, 1_000_000, "points")] | None = Field(
        None, description="Points drawn by random and sobol, and by each round of a search."
    )
    seed: Annotated[int, Whole(0, 2**53)] | None = Field(None, description="Seed of what is drawn (0).")
    rounds: Annotated[int, Whole(1, 1_000, "rounds")] | None = Field(
        None, description=f"Rounds of a search ({SEARCH_ROUNDS})."
    )

    @override
    def rules(self) -> Iterator[Problem]:
        for field in ("count", "seed", "rounds"):
            value = getattr(self, field)
            if value is not None and field not in USES[self.method]:
                owners = one_of(method for method, used in USES.items() if field in used)
                yield (
                    (field,),
                    f"found {value}, which {self.method} does not use; write method {owners}, or leave it out",
                )
        if self.method != "grid" and self.count is None:
            yield ("count",), f"is missing; {self.method} needs the number of points to draw"

    @override
    def normalised(self) -> dict[str, object]:
        plain: dict[str, object] = super().normalised()
        if "seed" in USES[self.method]:
            plain["seed"] = self.seed or 0
        if "rounds" in USES[self.method]:
            plain["rounds"] = self.rounds or SEARCH_ROUNDS
        return plain

    @property
    def most_points(self) -> int | None:
        """The most points that are drawn, of all rounds; None of a grid, which draws none."""
        if self.count is None:
            return None
        return self.count * ((self.rounds or SEARCH_ROUNDS) if self.method == "search" else 1)


class Strategy(Model):
    """The user's own profile or whole backtest, as a function in the user's own package."""

    entrypoint: Annotated[
        str,
        Text(
            r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*",
            200,
            "package.module:function",
        ),
    ] = Field(description="The function, as package.module:function.", examples=["my_package.rules:weights"])
    kind: Annotated[Literal["profile", "backtest"], OneOf()] = Field(
        "profile",
        description="profile: the function returns a window's weights; backtest: it returns them for all windows.",
    )
    uses_previous: Annotated[bool, Flag()] = Field(
        False, description="profile: whether the function receives the previous window's target."
    )
    parameters: dict[ParameterName, ParameterAxis] = Field(
        {},
        max_length=20,
        description="Axes of the strategy's own: a list of values each, or a range {low, high, log, step} for sobol "
        "and search.",
        examples=[{"window": [20, 60]}],
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.kind == "backtest" and self.uses_previous:
            yield ("usesPrevious",), "found true with kind backtest, which holds all its windows itself; leave it out"
        for name, values in self.parameters.items():
            if isinstance(values, Range):
                continue
            spelled = [canonical_json(value) for value in values]
            for index, value in enumerate(spelled):
                if value in spelled[:index]:
                    first = spelled.index(value)
                    yield (
                        ("parameters", name, index),
                        f"is the same as parameters.{name}[{first}]; write each value once",
                    )
