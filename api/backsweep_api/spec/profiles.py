"""axes.profile, axes.covariance and axes.expectedReturns: names, their own parameters, and what each profile reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field
from typing_extensions import override

from backsweep_api.nearest import one_of
from backsweep_api.spec.base import Named, Problem
from backsweep_api.spec.checks import Flag, Number, OneOf, Whole, found

__all__ = [
    "CORES",
    "COVARIANCE_DEFAULTS",
    "EXPECTED_RETURNS_DEFAULTS",
    "LIVE_AXES",
    "PROFILE_DEFAULTS",
    "CoreName",
    "Covariance",
    "CovarianceName",
    "ExpectedReturns",
    "ExpectedReturnsName",
    "Linkage",
    "Profile",
    "ProfileName",
]

CoreName = Literal[
    "inverse_volatility",
    "min_variance",
    "max_sharpe",
    "max_diversification",
    "risk_parity",
    "hrp",
    "herc",
    "nco",
    "min_cvar",
]
ProfileName = Literal[
    "equal_weight",
    "inverse_volatility",
    "min_variance",
    "max_sharpe",
    "max_diversification",
    "risk_parity",
    "hrp",
    "herc",
    "nco",
    "min_cvar",
    "barbell",
    "market",
    "benchmark",
    "strategy",
]
CovarianceName = Literal["sample", "ledoit_wolf", "oas", "ewma", "denoised", "gerber"]
ExpectedReturnsName = Literal["mean", "ewma", "bayes_stein"]
Linkage = Literal["single", "average", "complete", "ward"]
HalfLife = Annotated[float, Number(0, 10_000, "rows", above=True)]
CORES: tuple[str, ...] = get_args(CoreName)
ERC = (("erc", "risk_parity"),)

PROFILE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "hrp": {"linkage": "single", "leafOrder": False, "risk": "variance"},
    "herc": {"linkage": "ward"},
    "nco": {"linkage": "ward"},
    "min_cvar": {"confidence": 0.95},
    "barbell": {"core": "min_variance", "coreWeight": 0.8, "sleeve": 3, "score": "momentum"},
}
COVARIANCE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"ewma": {"halfLife": 40}, "gerber": {"threshold": 0.5}}
EXPECTED_RETURNS_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"ewma": {"halfLife": 40}}

_MOMENTS = ("lookback", "covariance", "universe", "constraints", "rebalance")
LIVE_AXES: Mapping[str, tuple[str, ...]] = {
    "equal_weight": ("universe", "constraints", "rebalance"),
    "inverse_volatility": _MOMENTS,
    "min_variance": _MOMENTS,
    "max_sharpe": (*_MOMENTS, "expectedReturns"),
    "max_diversification": _MOMENTS,
    "risk_parity": _MOMENTS,
    "hrp": (*_MOMENTS, "linkage", "leafOrder"),
    "herc": (*_MOMENTS, "linkage"),
    "nco": (*_MOMENTS, "linkage"),
    "min_cvar": ("lookback", "universe", "constraints", "rebalance"),
    "market": ("rebalance",),
    "benchmark": ("universe", "rebalance"),
}


class _Parametrised(Named):
    """A name with parameters of its own; only the ones that differ from the defaults are kept."""

    name: str

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The parameters this name takes, with their defaults."""
        raise NotImplementedError

    @property
    def all_defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """The same for every name that takes any."""
        raise NotImplementedError

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that differ from the name's defaults, by their names in the document."""
        return {key: value for key, value in self.written.items() if value != self.defaults.get(key)}

    @property
    def written(self) -> dict[str, Any]:
        """The parameters that were given."""
        values = {field.alias or name: getattr(self, name) for name, field in type(self).model_fields.items()}
        return {key: value for key, value in values.items() if key != "name" and value is not None}

    def rules(self) -> Iterator[Problem]:
        for key, value in self.written.items():
            if key not in self.defaults:
                owners = one_of(name for name, defaults in self.all_defaults.items() if key in defaults)
                takes = f"takes {one_of(self.defaults)}" if self.defaults else "takes no parameters"
                yield (key,), f"found {found(value)}, but {self.name} {takes}; {key} belongs to {owners}"

    def normalised(self) -> Any:
        given = self.given
        return {"name": self.name, **given} if given else self.name


class Profile(_Parametrised):
    """A portfolio construction method: its name, or a mapping with the name and its own parameters."""

    name: Annotated[ProfileName, OneOf(ERC)] = Field(description="Name; erc is risk_parity.")
    linkage: Annotated[Linkage, OneOf()] | None = Field(
        None, description="hrp, herc, nco: how clusters join, in place of axes.linkage (single for hrp, else ward)."
    )
    leaf_order: Annotated[bool, Flag()] | None = Field(
        None, description="hrp: optimal leaf ordering, in place of axes.leafOrder (false)."
    )
    risk: Annotated[Literal["variance", "std"], OneOf()] | None = Field(
        None, description="hrp: what the two halves of a split are weighed by (variance)."
    )
    core: Annotated[CoreName, OneOf(ERC)] | None = Field(
        None, description="barbell: the profile that holds the core (min_variance)."
    )
    core_weight: Annotated[float, Number(0, 1, "wealth as a fraction")] | None = Field(
        None, description="barbell: fraction of wealth in the core (0.8)."
    )
    sleeve: Annotated[int, Whole(1, 1_000, "assets")] | None = Field(
        None, description="barbell: number of assets beside the core (3)."
    )
    score: Annotated[Literal["momentum", "sharpe", "low_volatility"], OneOf()] | None = Field(
        None, description="barbell: what chooses the sleeve's assets over the training rows (momentum)."
    )
    confidence: Annotated[float, Number(0.5, 0.999, "probability")] | None = Field(
        None, description="min_cvar: confidence level (0.95)."
    )

    @property
    @override
    def defaults(self) -> Mapping[str, Any]:
        return PROFILE_DEFAULTS.get(self.name, {})

    @property
    @override
    def all_defaults(self) -> Mapping[str, Mapping[str, Any]]:
        return PROFILE_DEFAULTS


class Covariance(_Parametrised):
    """A covariance estimator: its name, or a mapping with the name and its own parameters."""

    name: Annotated[CovarianceName, OneOf()] = Field(description="Name.")
    half_life: HalfLife | None = Field(None, description="ewma: rows after which a row weighs half (40).")
    threshold: Annotated[float, Number(0, 10, "standard deviations")] | None = Field(
        None, description="gerber: standard deviations from which on a move counts (0.5)."
    )

    @property
    @override
    def defaults(self) -> Mapping[str, Any]:
        return COVARIANCE_DEFAULTS.get(self.name, {})

    @property
    @override
    def all_defaults(self) -> Mapping[str, Mapping[str, Any]]:
        return COVARIANCE_DEFAULTS


class ExpectedReturns(_Parametrised):
    """An expected-return estimator: its name, or a mapping with the name and its own parameters."""

    name: Annotated[ExpectedReturnsName, OneOf()] = Field(description="Name.")
    half_life: HalfLife | None = Field(None, description="ewma: rows after which a row weighs half (40).")

    @property
    @override
    def defaults(self) -> Mapping[str, Any]:
        return EXPECTED_RETURNS_DEFAULTS.get(self.name, {})

    @property
    @override
    def all_defaults(self) -> Mapping[str, Mapping[str, Any]]:
        return EXPECTED_RETURNS_DEFAULTS
