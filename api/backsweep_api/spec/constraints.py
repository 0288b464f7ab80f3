"""axes.constraints and axes.universe: what a portfolio may look like, and what it may hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import override

from backsweep_api.spec.base import Model, Named, Problem
from backsweep_api.spec.checks import Number, found
from backsweep_api.spec.names import LabelText, Symbol, Weight

__all__ = ["BetaLimit", "ConstraintSet", "GroupCap", "Universe"]

EVERYONE = "all"


class BetaLimit(Model):
    """Market neutrality: |w'beta| within a tolerance."""

    tolerance: Annotated[float, Number(0, 10, "beta")] = Field(
        description="Largest absolute beta of the portfolio against data.benchmark's symbols."
    )


class GroupCap(Model):
    """Bounds on the sum of a group's weights."""

    name: LabelText = Field(description="Name of the group.")
    assets: tuple[Symbol, ...] = Field(min_length=1, max_length=5_000, description="Symbols in the group.")
    min: Weight | None = Field(None, description="Least sum of the group's weights, as a fraction of wealth.")
    max: Weight | None = Field(None, description="Largest sum of the group's weights, as a fraction of wealth.")

    @override
    def rules(self) -> Iterator[Problem]:
        if self.min is None and self.max is None:
            yield (), f"found neither min nor max for the group {self.name}; write at least one"
        if self.min is not None and self.max is not None and self.min > self.max:
            yield ("min",), f"found {found(self.min)}, above max {found(self.max)}; write min no larger than max"
        if len(set(self.assets)) < len(self.assets):
            yield ("assets",), "found a symbol twice; write each once"

    @override
    def normalised(self) -> dict[str, object]:
        plain: dict[str, object] = super().normalised()
        plain["assets"] = sorted(self.assets)
        return plain


class ConstraintSet(Model):
    """One value of axes.constraints; null or {} is long only and fully invested."""

    min_weight: Weight = Field(
        0.0, description="Least weight of an asset, as a fraction of wealth; below 0 allows shorts."
    )
    max_weight: Weight = Field(1.0, description="Largest weight of an asset, as a fraction of wealth.")
    group_caps: tuple[GroupCap, ...] = Field((), max_length=50, description="Bounds on sums of weights of groups.")
    net: Annotated[float, Number(-5, 5, "wealth as a fraction")] = Field(
        1.0, description="Sum of the weights, as a fraction of wealth."
    )
    gross: Annotated[float, Number(0, 20, "wealth as a fraction", above=True)] | None = Field(
        None, description="Largest sum of absolute weights, as a fraction of wealth."
    )
    turnover_limit: Annotated[float, Number(0, 10, "wealth as a fraction", above=True)] | None = Field(
        None, description="Largest sum of absolute changes of target weights, halved, from one window to the next."
    )
    beta: BetaLimit | None = Field(None, description="Market neutrality.")

    @override
    def rules(self) -> Iterator[Problem]:
        if self.min_weight > self.max_weight:
            told = f"found {found(self.min_weight)}, above maxWeight {found(self.max_weight)}"
            yield ("minWeight",), f"{told}; write no more than maxWeight"
        if self.min_weight >= 0 and self.net <= 0:
            yield (
                ("net",),
                f"found {found(self.net)}, which weights of 0 or more cannot sum to; write minWeight below 0, too",
            )
        if self.gross is not None and self.gross < abs(self.net):
            told = f"found {found(self.gross)}, less than the net of {found(self.net)}"
            yield ("gross",), f"{told}; write at least {found(abs(self.net))}"
        if self.net == 0 and self.gross is None:
            yield ("gross",), "is missing; a net of 0 says nothing about size, so write the sum of absolute weights"
        if self.beta is not None and self.gross is None:
            yield (
                ("gross",),
                "is missing; market neutrality says nothing about size, so write the sum of absolute weights",
            )
        names = [group.name for group in self.group_caps]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield ("groupCaps", index, "name"), f"found {name} a second time; write a name of its own"

    @override
    def normalised(self) -> Any:
        plain = super().normalised()
        plain["groupCaps"] = sorted(plain["groupCaps"], key=lambda group: str(group["name"]))
        return {key: value for key, value in plain.items() if value != CONSTRAINT_DEFAULTS.get(key)} or None


CONSTRAINT_DEFAULTS: dict[str, Any] = {"minWeight": 0.0, "maxWeight": 1.0, "groupCaps": [], "net": 1.0}


class Universe(Named):
    """One value of axes.universe: "all", or a named list of symbols."""

    name: LabelText = Field(description='Name in results; "all" is every asset of the data set.')
    symbols: tuple[Symbol, ...] | None = Field(
        None, min_length=1, max_length=5_000, description="Symbols that may be held."
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.name == EVERYONE and self.symbols is not None:
            yield ("name",), "found all, which is every asset; write another name for a list of symbols"
        if self.name != EVERYONE and self.symbols is None:
            yield (), f"found {self.name}, which lists no symbols; write all, or name and symbols"
        if self.symbols is not None and len(set(self.symbols)) < len(self.symbols):
            yield ("symbols",), "found a symbol twice; write each once"

    @override
    def normalised(self) -> Any:
        if self.symbols is None:
            return self.name
        return {"name": self.name, "symbols": sorted(self.symbols)}
