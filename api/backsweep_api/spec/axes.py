"""spec.axes: the values that compete (choices) and the values that only ask "what if" (scenarios)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from backsweep_api.canonical import canonical_json
from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Flag, Money, Number, OneOf, Scalar, Text
from backsweep_api.spec.constraints import ConstraintSet, Universe
from backsweep_api.spec.names import ParameterName, Rows
from backsweep_api.spec.profiles import Covariance, ExpectedReturns, Linkage, Profile
from backsweep_api.spec.ranges import LookbackAxis, RowRange

__all__ = ["Axes", "Costs", "EngineName", "Exclusion", "LinkageValue", "RebalanceValue"]

BasisPoints = Annotated[float, Number(0, 10_000, "basis points of the traded value")]
LinkageValue = Annotated[Linkage, OneOf()]
LeafOrderValue = Annotated[bool, Flag()]
RebalanceValue = Annotated[Literal["window", "daily"], OneOf()]
EngineName = Annotated[Literal["native", "skfolio", "riskfolio", "pyportfolioopt"], OneOf()]
UniverseName = Annotated[str, Text(r"\S+", 63, "the name of a value of axes.universe")]
DataLabel = Annotated[str, Text(r"\S+", 1_000, "the label, name or uri of an entry of spec.data")]


class Costs(Model):
    """One cost level."""

    slippage_bps: BasisPoints = Field(5.0, description="Slippage, in basis points of the traded value.")
    commission_bps: BasisPoints = Field(1.0, description="Commission, in basis points of the traded value.")
    borrow_rate: Annotated[str, Money(10, "a yearly rate as a fraction")] = Field(
        "0", description="Yearly rate paid on the short notional, as a quoted decimal fraction."
    )


class Exclusion(Model):
    """Points that are not run: those that have every value named here."""

    KEEPS_NULLS: ClassVar[bool] = True

    profile: Profile | None = Field(None, description="A value of axes.profile.")
    covariance: Covariance | None = Field(None, description="A value of axes.covariance.")
    expected_returns: ExpectedReturns | None = Field(None, description="A value of axes.expectedReturns.")
    lookback: Rows | None = Field(None, description="A value of axes.lookback, in rows.")
    linkage: LinkageValue | None = Field(None, description="A value of axes.linkage.")
    leaf_order: LeafOrderValue | None = Field(None, description="A value of axes.leafOrder.")
    rebalance: RebalanceValue | None = Field(None, description="A value of axes.rebalance.")
    constraints: ConstraintSet | None = Field(None, description="A value of axes.constraints, null included.")
    universe: UniverseName | None = Field(None, description="The name of a value of axes.universe.")
    parameters: dict[ParameterName, Annotated[str | int | float | bool, Scalar()]] = Field(
        {}, max_length=20, description="Values of the strategy's parameters, by name."
    )
    costs: Costs | None = Field(None, description="A value of axes.costs.")
    engine: EngineName | None = Field(None, description="A value of axes.engine.")
    data: DataLabel | None = Field(None, description="The label, name or uri of a data set.")

    @property
    def values(self) -> dict[str, Any]:
        """The axis values it names, normalised, by axis; a parameter's axis is parameters.<name>."""
        plain: dict[str, Any] = super().normalised()
        parameters = plain.pop("parameters")
        if "constraints" in self.model_fields_set:
            plain["constraints"] = plain.get("constraints")
        return plain | {f"parameters.{name}": value for name, value in parameters.items()}

    @override
    def rules(self) -> Iterator[Problem]:
        fields = type(self).model_fields
        for name in sorted(self.model_fields_set - {"constraints"}):
            if getattr(self, name) is None:
                yield (fields[name].alias or name,), "found null; write one of the axis' values, or leave it out"
        for axis in {} if self.profile is None else self.profile.written:
            if axis in self.values:
                yield (axis,), f"is given in profile, too; write {axis} in one place"
        if not self.values:
            yield (), "found nothing; name at least one axis and its value"

    @override
    def normalised(self) -> Any:
        values = self.values
        parameters = {name: value for name, value in values.items() if name.startswith("parameters.")}
        plain = {name: value for name, value in values.items() if name not in parameters}
        if parameters:
            plain["parameters"] = {name.partition(".")[2]: value for name, value in parameters.items()}
        return plain


class Axes(Model):
    """Lists of values; every combination of them is a trial, each distinct one run once."""

    profile: tuple[Profile, ...] | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Portfolio construction methods. Required, unless spec.strategy is the only one.",
        examples=[["equal_weight", "min_variance", {"name": "barbell", "core": "hrp", "sleeve": 5}]],
    )
    covariance: tuple[Covariance, ...] = Field(
        (Covariance.model_validate("sample"),), min_length=1, max_length=100, description="Covariance estimators."
    )
    expected_returns: tuple[ExpectedReturns, ...] = Field(
        (ExpectedReturns.model_validate("mean"),),
        min_length=1,
        max_length=100,
        description="Expected-return estimators.",
    )
    lookback: LookbackAxis | None = Field(
        None,
        description="Training rows: a list, or a range {low, high, log, step} to draw from with sampling.method sobol "
        "or search. walkForward.train unless given.",
        examples=[[63, 126, 252]],
    )
    linkage: tuple[LinkageValue, ...] | None = Field(
        None, min_length=1, max_length=4, description="How clusters join; each profile's own default unless given."
    )
    leaf_order: tuple[LeafOrderValue, ...] | None = Field(
        None, min_length=1, max_length=2, description="Whether leaves are ordered optimally; false unless given."
    )
    rebalance: tuple[RebalanceValue, ...] = Field(
        ("window",),
        min_length=1,
        max_length=2,
        description="window buys and holds within a window, daily returns to the target at every close.",
    )
    constraints: tuple[ConstraintSet | None, ...] = Field(
        (None,), min_length=1, max_length=100, description="Constraint sets; null is long only and fully invested."
    )
    universe: tuple[Universe, ...] = Field(
        (Universe.model_validate("all"),), min_length=1, max_length=100, description="What may be held."
    )
    costs: tuple[Costs, ...] = Field(
        (Costs.model_validate({}),),
        min_length=1,
        max_length=100,
        description="Cost levels, a scenario: the first is the base by which trials are ranked.",
    )
    engine: tuple[EngineName, ...] = Field(
        ("native",),
        min_length=1,
        max_length=4,
        description="Which library solves, a scenario: the first is the base by which trials are ranked.",
    )
    exclude: tuple[Exclusion, ...] = Field((), max_length=200, description="Points that are not run.")

    @override
    def rules(self) -> Iterator[Problem]:
        for name, field in type(self).model_fields.items():
            values = getattr(self, name)
            if isinstance(values, tuple):
                yield from _repeated(field.alias or name, values)
        names = [universe.name for universe in self.universe]
        for index, name in enumerate(names):
            if name in names[:index] and self.universe[index] not in self.universe[:index]:
                yield ("universe", index, "name"), f"found {name} a second time; write a name of its own"

    @property
    def lookback_range(self) -> RowRange | None:
        """The range of lookbacks to draw from, if there is one."""
        return self.lookback if isinstance(self.lookback, RowRange) else None


def _repeated(axis: str, values: tuple[Any, ...]) -> Iterator[Problem]:
    """Yield the values of an axis that stand in it twice once they are spelled one way."""
    first: dict[bytes, int] = {}
    for index, value in enumerate(values):
        plain = value.normalised() if isinstance(value, Model) else value
        if isinstance(value, Universe) and value.symbols is not None:
            plain = sorted(value.symbols)
        index_before = first.setdefault(canonical_json(plain), index)
        if index_before != index:
            yield (axis, index), f"is the same as {axis}[{index_before}]; write each value once"
