"""The whole document: apiVersion, kind, metadata, spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from backsweep_api.canonical import canonical_value
from backsweep_api.spec.axes import Axes
from backsweep_api.spec.base import Model, Problem, broken_rules
from backsweep_api.spec.checks import Flag, OneOf, Whole, refuse
from backsweep_api.spec.cluster import Cluster, NodePool
from backsweep_api.spec.consistency import inconsistencies
from backsweep_api.spec.data import DataSet
from backsweep_api.spec.execution import Execution, Prefect, Storage
from backsweep_api.spec.money import Budget, Pricing
from backsweep_api.spec.names import Namespace, ObjectName
from backsweep_api.spec.sampling import Sampling, Strategy
from backsweep_api.spec.walk_forward import TRAIN_ROWS, Objective, Validation, WalkForward

__all__ = ["API_VERSION", "KIND", "BacktestSweep", "Metadata", "Spec"]

API_VERSION = "backsweep.dev/v1alpha1"
KIND = "BacktestSweep"


def _listed(value: Any) -> Any:
    """Read one data set as a list of one."""
    if not isinstance(value, dict | list):
        raise refuse(value, "a mapping, such as {name: sp500-20}")
    return [value] if isinstance(value, dict) else value


class Metadata(Model):
    """Name and labels; what else a cluster writes here is accepted and not read."""

    name: ObjectName = Field(description="Name of the sweep: DNS-1035, up to 40 characters.")
    namespace: Namespace | None = Field(None, description="Namespace on a cluster; a laptop has one called local.")
    labels: dict[str, str] = Field({}, max_length=100, description="Labels.")
    annotations: dict[str, str] = Field({}, max_length=100, description="Annotations.")
    uid: str | None = Field(None, description="Written by the API server.")
    resource_version: str | None = Field(None, description="Written by the API server.")
    generation: int | None = Field(None, description="Written by the API server.")
    creation_timestamp: str | None = Field(None, description="Written by the API server.")
    deletion_timestamp: str | None = Field(None, description="Written by the API server.")
    deletion_grace_period_seconds: int | None = Field(None, description="Written by the API server.")
    finalizers: tuple[str, ...] = Field((), description="Written by controllers.")
    owner_references: tuple[dict[str, Any], ...] = Field((), description="Written by controllers.")
    managed_fields: tuple[dict[str, Any], ...] = Field((), description="Written by the API server.")

    @override
    def normalised(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"name": self.name}
        if self.namespace is not None:
            plain["namespace"] = self.namespace
        for key in ("labels", "annotations"):
            if getattr(self, key):
                plain[key] = dict(sorted(getattr(self, key).items()))
        return plain


class Spec(Model):
    """What is run, on what, how it is judged, where it runs and what it may cost."""

    data: Annotated[tuple[DataSet, ...], BeforeValidator(_listed, json_schema_input_type=DataSet | list[DataSet])] = (
        Field(
            min_length=1,
            max_length=20,
            description="A data set, or a list of them: a scenario whose first is the base by which trials are ranked.",
            examples=[{"name": "sp500-20"}],
        )
    )
    walk_forward: WalkForward = Field(WalkForward(), description="Training and test rows.")
    validation: Validation = Field(Validation(), description="Rows kept away from every choice.")
    axes: Axes = Field(Axes(), description="What is tried.")
    sampling: Sampling = Field(Sampling(), description="Which points of the axes are run.")
    objective: Objective = Field(Objective(), description="What trials are ranked by.")
    strategy: Strategy | None = Field(None, description="The user's own profile or whole backtest.")
    execution: Execution = Field(Execution(), description="How the sweep runs.")
    cluster: Cluster | None = Field(None, description="The Ray cluster.")
    storage: Storage | None = Field(None, description="Where results are kept.")
    prefect: Prefect | None = Field(None, description="Where the flow runs.")
    pricing: Pricing | None = Field(None, description="What compute costs.")
    budget: Budget | None = Field(None, description="What the sweep may cost.")
    node_pool: NodePool | None = Field(None, description="Nodes made for the sweep.")
    suspend: Annotated[bool, Flag()] = Field(False, description="Whether the sweep is stopped, to go on later.")
    backoff_limit: Annotated[int, Whole(1, 20, "times")] = Field(
        3, description="Times a sweep is tried again whose infrastructure was lost."
    )
    active_deadline_seconds: Annotated[int, Whole(60, 31_536_000, "seconds")] | None = Field(
        None, description="Seconds after which a sweep that has not finished fails; without it, never."
    )
    ttl_seconds_after_finished: Annotated[int, Whole(0, 31_536_000, "seconds")] | None = Field(
        None,
        description="Seconds after which what a finished sweep made is deleted; the release's own unless given.",
    )

    @override
    def rules(self) -> Iterator[Problem]:
        yield from inconsistencies(self.data, self.axes, self.sampling, self.strategy, self.walk_forward)
        if self.budget is not None and self.pricing is None:
            yield ("budget",), "is given without prices; write pricing, too"
        if self.sampling.method == "search" and self.objective.metric == "dsr":
            yield (
                ("objective", "metric"),
                "found dsr, which no trial has before all are known, so that a search cannot follow it; write psr",
            )

    @override
    def normalised(self) -> dict[str, Any]:
        plain: dict[str, Any] = super().normalised()
        axes = plain["axes"]
        axes.setdefault("lookback", [self.walk_forward.train or TRAIN_ROWS])
        axes.setdefault("profile", ["strategy"])
        return plain


class BacktestSweep(Model):
    """A tournament of walk-forward backtests, the same on a laptop and on a cluster."""

    api_version: Annotated[Literal["backsweep.dev/v1alpha1"], OneOf()] = Field(description="backsweep.dev/v1alpha1.")
    kind: Annotated[Literal["BacktestSweep"], OneOf()] = Field(description="BacktestSweep.")
    metadata: Metadata = Field(description="Name and labels.")
    spec: Spec = Field(description="The sweep.")
    status: dict[str, Any] | None = Field(None, description="Written by the operator; never read from a document.")

    @model_validator(mode="after")
    def _keep_rules(self) -> BacktestSweep:
        """Refuse a document whose fields are each right but not together."""
        problems = list(broken_rules(self))
        if problems:
            raise PydanticCustomError("rules", "the fields do not go together", {"problems": problems})
        return self

    def normalised(self) -> dict[str, Any]:
        """Return the document spelled one way: defaults filled in, 1.0 as 1, sets sorted, axes in their own order.

        It can be read again as a document, and its normalised form is itself.
        """
        plain = super().normalised()
        plain.pop("status", None)
        normal: dict[str, Any] = canonical_value(plain)
        return normal
