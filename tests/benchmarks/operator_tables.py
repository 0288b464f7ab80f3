"""The operator's figures, and how they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from tests.benchmarks.operator_costs import Meter
from tests.benchmarks.timing import markdown_table, publish

__all__ = ["Alone", "Burst", "Spent", "Together", "tell"]

KUBERAY_PUBLISHED = "100 in 83 s and 1,000 in 258 s (GKE, KubeRay 1.1.1)"


@dataclass(frozen=True)
class Spent:
    """What something took for so many sweeps: seconds by the clock, and processor seconds by process."""

    sweeps: int
    seconds: float
    cpu: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Sweeps a second."""
        return self.sweeps / self.seconds

    def milliseconds(self, process: str) -> float:
        """Return the processor time of a process a sweep."""
        return self.cpu.get(process, 0.0) * 1e3 / self.sweeps


@dataclass(frozen=True)
class Burst:
    """Many sweeps at once: until each had its RayCluster, counted from when the operator led.

    Parameters
    ----------
    calls : calls a sweep, by API and call.
    load : of the machine, the mean of a minute.
    meter : still counts from when the operator led.
    """

    spent: Spent
    calls: Mapping[str, Mapping[str, float]]
    load: float
    meter: Meter


@dataclass(frozen=True)
class Alone:
    """The figures without Prefect and KubeRay; `in_turn` has the seconds of sweeps at low load."""

    in_turn: Sequence[float]
    applied: Spent
    burst: Burst
    bare: Spent


@dataclass(frozen=True)
class Together:
    """The figures with both."""

    burst: Burst
    ready_seconds: float
    resident_mib: float
    rest: Spent


def tell(alone: Alone, together: Together) -> None:
    """Write the tables."""
    publish(
        "operator",
        "## The operator",
        _against_targets(alone, together),
        _costs(alone, together),
        _calls(alone, together),
    )


def _against_targets(alone: Alone, together: Together) -> str:
    cut = quantiles(alone.in_turn, n=100)
    sweeps = f"{alone.burst.spent.sweeps:,}"
    share = together.rest.cpu["operator"] / together.rest.seconds
    rows = [
        [f"{sweeps} sweeps at once, a second, Prefect and KubeRay not there", "50", f"{alone.burst.spent.rate:.1f}"],
        ["the same calls by a bare client, sweeps a second", "", f"{alone.bare.rate:.1f}"],
        [f"{sweeps} sweeps at once, a second, real Prefect and KubeRay", "", f"{together.burst.spent.rate:.1f}"],
        [
            f"{sweeps} RayClusters ready, s; KubeRay's own figures: {KUBERAY_PUBLISHED}",
            "",
            f"{together.ready_seconds:.0f}",
        ],
        ["from apply to RayCluster at low load, median s", "0.3", f"{cut[49]:.2f}"],
        ["the same, 99 of 100, s", "1", f"{cut[98]:.2f}"],
        [f"memory at {sweeps} running sweeps of three pods, MB", "150", f"{together.resident_mib * 1.048576:.0f}"],
        [f"CPU with {sweeps} running sweeps at which nothing changes, % of a core", "2", f"{100 * share:.1f}"],
    ]
    return markdown_table(["figure", "target", "found"], rows)


def _costs(alone: Alone, together: Together) -> str:
    """Return the processor time a sweep, by process, of each way."""
    ways = {
        "applying it": alone.applied,
        "without Prefect and KubeRay": alone.burst.spent,
        "by a bare client": alone.bare,
        "with both": together.burst.spent,
    }
    names = sorted({name for spent in ways.values() for name in spent.cpu})
    rows = [[name, *(f"{spent.milliseconds(name):.1f}" for spent in ways.values())] for name in names]
    rows.append(["all", *(f"{sum(map(spent.milliseconds, spent.cpu)):.1f}" for spent in ways.values())])
    rows.append(["sweeps a second", *(f"{spent.rate:.1f}" for spent in ways.values())])
    return markdown_table(["ms of CPU a sweep", *ways], rows)


def _calls(alone: Alone, together: Together) -> str:
    """Return the operator's calls a sweep, of each way."""
    rows = []
    for api, calls in alone.burst.calls.items():
        for call in sorted(calls):
            shown = (way.burst.calls[api].get(call, 0.0) for way in (alone, together))
            rows.append([f"{api}: {call}", *(f"{count:.2f}" for count in shown)])
    loads = f"The machine's load was {alone.burst.load:.1f} and {together.burst.load:.1f}."
    table = markdown_table(["the operator's calls a sweep", "without Prefect and KubeRay", "with both"], rows)
    return f"{table}\n\n{loads}"
