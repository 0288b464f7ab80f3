"""spec.data: which prices or returns a sweep runs on, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Day, Number, OneOf, Text, Whole
from backsweep_api.spec.names import LabelText, Symbol, TableUri

__all__ = ["DataSet", "FeatureTable"]

TableFormat = Annotated[Literal["csv", "parquet"], OneOf()]


class FeatureTable(Model):
    """A table a strategy receives, cut at the decision row like prices."""

    name: LabelText = Field(description="Name under which the strategy receives the table.")
    uri: TableUri = Field(description="Where the table is: file://, s3://, https://, store://.")
    format: TableFormat | None = Field(None, description="csv or parquet; by the suffix of uri unless given.")


class DataSet(Model):
    """One data set: a bundled one by name, or a table by uri."""

    name: (
        Annotated[str, Text(r"[a-z0-9][-a-z0-9.]*", 63, "the name of a bundled data set, such as sp500-20")] | None
    ) = Field(None, description="A data set that ships with Backsweep.", examples=["sp500-20"])
    uri: TableUri | None = Field(
        None,
        description="A table: file://, s3:// or https://, or a data set of the store: store://NAME (its newest "
        "version) or store://NAME@version. A relative file:// path begins at the document's folder.",
    )
    label: LabelText | None = Field(
        None, description="What the data set is called in results and in axes.exclude; its name or uri unless given."
    )
    kind: Annotated[Literal["prices", "returns"], OneOf()] = Field(
        "prices", description="Whether the table holds prices, or simple returns as fractions a row."
    )
    format: TableFormat | None = Field(None, description="csv or parquet; by the suffix of uri unless given.")
    start: Annotated[str, Day()] | None = Field(None, description="First day used, year-month-day; the table's first.")
    end: Annotated[str, Day()] | None = Field(None, description="Last day used, year-month-day; the table's last.")
    calendar: Annotated[Literal["weekdays", "all"], OneOf()] | None = Field(
        None,
        description="For mixed calendars: weekdays samples prices on weekdays first; all keeps every day and forbids "
        "trading what is closed. Not needed where all assets share one calendar.",
    )
    universe: TableUri | None = Field(
        None, description="A membership table (date, symbol): who may be held when. Without it, everyone always."
    )
    benchmark: tuple[Symbol, ...] = Field(
        (), max_length=100, description="Symbols of the market: not investable; the market profile holds them equally."
    )
    missing: Annotated[Literal["error", "drop", "fill"], OneOf()] = Field(
        "error",
        description="What a missing price between two prices means: an error, a day dropped for all, or the last price "
        "kept while the asset cannot be traded.",
    )
    delisting_return: Annotated[float, Number(-1, 10, "return as a fraction")] = Field(
        0.0, description="Simple return as a fraction, earned on the row after an asset's last price."
    )
    risk_free: Annotated[float, Number(-0.5, 1, "a year's return as a fraction")] = Field(
        0.0, description="Riskless return a year, as a fraction; what cash earns and Sharpe ratios subtract."
    )
    periods: Annotated[int, Whole(1, 400, "rows a year")] | None = Field(
        None, description="Rows a year; counted from the dates (365, 252, 52 or 12) unless given."
    )
    features: tuple[FeatureTable, ...] = Field((), max_length=20, description="Tables for the user's own strategy.")

    @property
    def axis_value(self) -> str:
        """What stands for the data set on the data axis."""
        uri = self.uri or ""
        place = uri.partition("@")[0] if uri.startswith("store://") else uri  # a trial's name outlives a version
        return self.label or self.name or place

    @override
    def rules(self) -> Iterator[Problem]:
        if self.name is not None and self.uri is not None:
            yield (), f"found name {self.name} and uri {self.uri}; write one of them"
        if self.name is None and self.uri is None:
            yield (), "found neither name nor uri; write name for a bundled data set or uri for a table"
        if self.name is not None and self.format is not None:
            yield ("format",), f"found {self.format}, but {self.name} is bundled; leave format out"
        if self.start is not None and self.end is not None and self.start > self.end:
            yield ("start",), f"found {self.start}, which is after end {self.end}; write an earlier day"
        for field, names in (("benchmark", self.benchmark), ("features", [table.name for table in self.features])):
            for index, name in enumerate(names):
                if name in names[:index]:
                    yield (field, index), f"found {name} a second time; write each once"

    @override
    def normalised(self) -> dict[str, object]:
        plain: dict[str, object] = super().normalised()
        plain["benchmark"] = sorted(self.benchmark)  # an equal weight of a set: its order means nothing
        return plain
