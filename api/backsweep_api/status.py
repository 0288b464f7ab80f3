"""status: what the operator writes about a sweep, under 32 KB whatever the sweep's size."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from backsweep_api.conditions import ConditionType, Next, Phase, State, StopReason

__all__ = [
    "Best",
    "Computed",
    "Condition",
    "Cost",
    "Links",
    "ManifestReference",
    "OpenPods",
    "Overfitting",
    "Run",
    "Speedup",
    "Stop",
    "SweepStatus",
    "TrialCounts",
    "instant_of",
    "timestamp",
]

MOST_OPEN_POD_KINDS = 16
LONGEST_MESSAGE = 1_000


def timestamp(instant: float) -> str:
    """Return seconds since 1970 as Kubernetes writes times, in whole seconds: 2026-11-23T21:00:00Z."""
    return datetime.fromtimestamp(int(instant), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant_of(text: str) -> float:
    """Return the seconds since 1970 of a time as Kubernetes writes it.

    Raises
    ------
    ValueError
        If it is none.
    """
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class StatusModel(BaseModel):
    """A part of status: frozen; fields of a newer release are passed over, so that a rollback can read it."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
    )


class Condition(StatusModel):
    """A condition as metav1.Condition has it."""

    type: ConditionType = Field(description="What is said.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(max_length=100, description="Why, in one word.")
    message: str = Field("", max_length=LONGEST_MESSAGE, description="Why, in a sentence.")
    last_transition_time: str = Field(description="When status last changed.")
    observed_generation: int = Field(ge=0, description="The generation of the spec this was said about.")


class Stop(StatusModel):
    """That an attempt is stopped, and what follows."""

    next: Next = Field(description="What follows once nothing of the attempt is left.")
    reason: StopReason = Field(description="Why, in one word.")
    message: str = Field("", max_length=LONGEST_MESSAGE, description="Why, in a sentence.")
    time: int = Field(description="When this was decided, seconds since 1970.")


class Run(StatusModel):
    """The attempt the sweep is at. Persisted before anything is made in its name."""

    spec_digest: str = Field(description="sha256 of the fields that determine results.")
    attempt: int = Field(ge=1, description="Number of the attempt, never used twice.")
    phase: Phase = Field(description="Whether it is active, being stopped or stopped.")
    started_at: int = Field(description="When the attempt was begun, seconds since 1970.")
    run_started_at: int = Field(description="When the first attempt since the last change or resumption was begun.")
    workers: int = Field(0, ge=0, description="Workers of its Ray cluster; 0 for none.")
    delete_after: int | None = Field(None, description="When the cluster is deleted even if no operator runs.")
    failures: int = Field(0, ge=0, description="Attempts lost to infrastructure since the last change or resumption.")
    admitted_at: int | None = Field(None, description="When its cluster was no longer queued by Kueue.")
    ready_at: int | None = Field(None, description="When its cluster was first ready.")
    running_at: int | None = Field(None, description="When its flow was first seen running.")
    flow_run_id: str | None = Field(None, max_length=100, description="The flow run's id in Prefect.")
    stop: Stop | None = Field(None, description="Why it is stopped, and what follows.")


class TrialCounts(StatusModel):
    """How many trials there are, and what became of them."""

    total: int = Field(0, ge=0, description="Distinct trials.")
    done: int = Field(0, ge=0, description="Trials that are finished, whether well or not.")
    cached: int = Field(0, ge=0, description="Finished ones that were there before this attempt.")
    failed: int = Field(0, ge=0, description="Finished ones that failed.")


class OpenPods(StatusModel):
    """Pods of one size that were running at the checkpoint."""

    cpu: str = Field(max_length=30, description="Cores a pod asks for.")
    memory_gib: str = Field(alias="memoryGiB", max_length=30, description="GiB of memory a pod asks for.")
    pods: int = Field(ge=0, description="How many.")


class Cost(StatusModel):
    """What the sweep's pods would cost by the prices given; all up to the checkpoint is settled."""

    amount: str = Field("0", max_length=40, description="The amount up to the checkpoint, a decimal.")
    currency: str = Field("USD", max_length=3, description="Its currency.")
    simulated: Literal[True] = Field(True, description="Prices are the document's; nobody was billed by this.")
    checkpoint: int = Field(0, description="Up to when it is settled, seconds since 1970.")
    open_pods: tuple[OpenPods, ...] = Field(
        (), max_length=MOST_OPEN_POD_KINDS, description="Pods that were running at the checkpoint, by size."
    )


class Best(StatusModel):
    """The trial that leads."""

    trial: str = Field(max_length=64, description="Its id.")
    metric: str = Field(max_length=64, description="What it leads by.")
    value: float | None = Field(None, description="Its value.")
    deflated_sharpe: float | None = Field(None, description="Its deflated Sharpe ratio.")


class Overfitting(StatusModel):
    """How much of it is luck."""

    pbo: float | None = Field(None, description="Probability of backtest overfitting.")
    deflated_sharpe: float | None = Field(None, description="Deflated Sharpe ratio of the best.")
    effective_trials: float | None = Field(None, description="How many independent trials these amount to.")
    trials_ever: int | None = Field(None, description="Trials ever run on this data in this store.")


class Speedup(StatusModel):
    """What the cluster was worth."""

    baseline_seconds: float | None = Field(None, description="Seconds it would have taken one after another.")
    wall_seconds: float | None = Field(None, description="Seconds it took.")
    ratio: float | None = Field(None, description="How many times as fast.")
    efficiency: float | None = Field(None, description="That, per core.")


class Computed(StatusModel):
    """Where the trials were computed, and what came back from there."""

    where: str = Field(max_length=20, description="cluster: on Ray, by its Jobs API; serial: in the flow's pod.")
    bytes_returned: int = Field(ge=0, description="What Ray's workers sent back: metrics and sums, never series.")


class ManifestReference(StatusModel):
    """Where the result is."""

    uri: str = Field(max_length=2_000, description="The manifest.")
    result_digest: str = Field(max_length=64, description="sha256 of its deterministic part.")


class Links(StatusModel):
    """Where to look."""

    prefect: str | None = Field(None, max_length=1_000, description="The flow run's page.")
    ray: str | None = Field(None, max_length=1_000, description="The Ray dashboard.")
    logs: str | None = Field(None, max_length=2_000, description="Where the store keeps what its runs said.")


class SweepStatus(StatusModel):
    """All of status."""

    observed_generation: int = Field(0, ge=0, description="The generation of the spec this is about.")
    conditions: tuple[Condition, ...] = Field((), max_length=16, description="What holds, one of each type.")
    run: Run | None = Field(None, description="The attempt the sweep is at.")
    trials: TrialCounts | None = Field(None, description="Counts of trials.")
    cost: Cost | None = Field(None, description="What it would cost.")
    best: Best | None = Field(None, description="The trial that leads, once all are there.")
    overfitting: Overfitting | None = Field(None, description="How much of it is luck.")
    speedup: Speedup | None = Field(None, description="What the cluster was worth.")
    computed: Computed | None = Field(None, description="Where the trials were computed.")
    manifest: ManifestReference | None = Field(None, description="Where the result is.")
    links: Links | None = Field(None, description="Where to look.")
    start_time: str | None = Field(None, description="When the present run was begun.")
    completion_time: str | None = Field(None, description="When it finished, well or not.")
    last_progress_time: int | None = Field(None, description="When progress was last written, seconds since 1970.")

    def condition(self, kind: ConditionType) -> Condition | None:
        """Return the condition of a type, or None."""
        return next((condition for condition in self.conditions if condition.type is kind), None)

    @property
    def state(self) -> State | None:
        """The state a reader is shown: the reason of Complete; None before anything was observed."""
        complete = self.condition(ConditionType.COMPLETE)
        return State(complete.reason) if complete is not None and complete.reason in set(State) else None

    def plain(self) -> dict[str, Any]:
        """Return it as the API server stores it: aliases, no nulls."""
        written: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return written
