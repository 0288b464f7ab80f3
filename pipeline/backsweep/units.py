"""Work as values: what a solve, a unit, a simulation and a block are, before anything is computed.

The plan makes them, an executor carries them, a worker does them. All of them are small and can be sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from backsweep.arrays import Integer, Windows

__all__ = [
    "NATIVE",
    "Block",
    "Costs",
    "Estimator",
    "Evaluation",
    "Rebalance",
    "Simulation",
    "Solve",
    "SolveTask",
    "SolveUnit",
]

Rebalance = Literal["window", "daily"]
NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Estimator:
    """A covariance or expected-return estimator with its parameters, defaulted."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What names it within a batch."""
        return f"{self.name}{sorted(self.parameters.items())}"


@dataclass(frozen=True, slots=True, eq=False)
class Solve:
    """What determines the weights of a solve besides its windows and data.

    Parameters
    ----------
    profile : name of the portfolio construction method; "strategy" is the user's own.
    parameters : the profile's own parameters, defaulted.
    constraints : a value of axes.constraints; None means long only and fully invested.
    columns : (n,) int64, increasing columns of the data set it may hold.
    code : sha256 hex of the user's package where the profile is the user's own; None otherwise.
    uses_previous : whether the user's own profile asks for its previous target.
    engine : which library solves it.
    versions : of the packages of an engine that is a peer.
    """

    profile: str
    parameters: Mapping[str, Any]
    covariance: Estimator | None
    mean: Estimator | None
    constraints: Mapping[str, Any] | None
    columns: Integer
    code: str | None = None
    uses_previous: bool = False
    engine: str = NATIVE
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_native(self) -> bool:
        """Whether our own kernels solve it."""
        return self.engine == NATIVE

    @property
    def stage(self) -> str:
        """What its solving is called in timings: the profile, and by whom where that is a peer."""
        return self.profile if self.is_native else f"{self.profile} by {self.engine}"

    @property
    def sequential(self) -> bool:
        """Whether each window needs the one before, so that all windows are one unit."""
        limited = self.constraints is not None and self.constraints.get("turnoverLimit") is not None
        return limited or self.uses_previous


@dataclass(frozen=True, slots=True)
class SolveUnit:
    """Windows `start` to `stop` (half-open) of a solve; `id` is the hash of all that determines their weights."""

    id: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Costs:
    """A cost level: basis points of traded value, and the annual rate paid on the short notional."""

    slippage_bps: float
    commission_bps: float
    borrow_rate: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """One simulation of a solve's weights: what one trial adds to its solve.

    Parameters
    ----------
    id : hash of all that determines its returns and metrics.
    trial : the trial's id.
    """

    id: str
    trial: str
    rebalance: Rebalance
    costs: Costs


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How every simulation of a data set is judged.

    Parameters
    ----------
    ranked_rows : test rows that rank; those after them are held out.
    hold_on_failure : a failed window does not trade; otherwise it fails its trial.
    """

    ranked_rows: int
    hold_on_failure: bool


@dataclass(frozen=True, slots=True, eq=False)
class SolveTask:
    """What is to be done for one solve.

    Parameters
    ----------
    id : the solve's id, as in the trials table.
    units : all its units, in order of their windows.
    missing : ids of the units to compute.
    simulations : those to compute once all units exist; empty where another block does it.
    """

    id: str
    solve: Solve
    units: tuple[SolveUnit, ...]
    missing: frozenset[str]
    simulations: tuple[Simulation, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Solve tasks over the same windows, packed to be one piece of work of 0.2 to 5 s.

    Parameters
    ----------
    data : which of the sweep's data sets.
    seconds : predicted time of one core.
    """

    data: int
    windows: Windows
    evaluation: Evaluation
    tasks: tuple[SolveTask, ...]
    seconds: float
