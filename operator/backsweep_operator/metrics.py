"""Counters, gauges and histograms in Prometheus' text format; never a label whose values grow with sweeps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Family", "Histogram", "Metrics", "OperatorMetrics"]

Labels = tuple[str, ...]
CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CLUSTER_SECONDS = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1_280.0)


@dataclass(slots=True)
class Family:
    """A counter or a gauge, by the values of its labels.

    Parameters
    ----------
    read : gives the values when they are asked for, instead of `values`.
    """

    name: str
    text: str
    kind: str
    labels: Labels = ()
    values: dict[Labels, float] = field(default_factory=dict)
    read: Callable[[], Mapping[Labels, float]] | None = None

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def set(self, value: float, *labels: str) -> None:
        """Set."""
        self.values[labels] = value

    def lines(self) -> Iterable[str]:
        """Give its lines, values in the order of their labels."""
        values = self.values if self.read is None else self.read()
        for labels in sorted(values):
            yield f"{self.name}{_braces(self.labels, labels)} {_number(values[labels])}"


@dataclass(slots=True)
class Histogram:
    """How often a value fell up to each bound."""

    name: str
    text: str
    bounds: tuple[float, ...]
    labels: Labels = ()
    counts: dict[Labels, list[int]] = field(default_factory=dict)
    sums: dict[Labels, float] = field(default_factory=dict)
    kind: str = "histogram"

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        counts = self.counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[labels] = self.sums.get(labels, 0.0) + value

    def lines(self) -> Iterable[str]:
        """Give its lines: cumulated buckets, sum and count."""
        for labels in sorted(self.counts):
            total = 0
            for bound, count in zip((*self.bounds, float("inf")), self.counts[labels], strict=True):
                total += count
                edge = "+Inf" if bound == float("inf") else _number(bound)
                yield f"{self.name}_bucket{_braces((*self.labels, 'le'), (*labels, edge))} {total}"
            yield f"{self.name}_sum{_braces(self.labels, labels)} {_number(self.sums[labels])}"
            yield f"{self.name}_count{_braces(self.labels, labels)} {total}"


class Metrics:
    """Families under one roof; each name once."""

    def __init__(self) -> None:
        self._families: dict[str, Family | Histogram] = {}

    def counter(self, name: str, text: str, labels: Labels = ()) -> Family:
        """Add a counter."""
        return self._add(Family(name, text, "counter", labels))

    def gauge(
        self, name: str, text: str, labels: Labels = (), read: Callable[[], Mapping[Labels, float]] | None = None
    ) -> Family:
        """Add a gauge, or one that is read when asked for."""
        return self._add(Family(name, text, "gauge", labels, read=read))

    def histogram(self, name: str, text: str, bounds: tuple[float, ...], labels: Labels = ()) -> Histogram:
        """Add a histogram."""
        found = Histogram(name, text, bounds, labels)
        self._families[name] = found
        return found

    def text(self) -> str:
        """Return everything as Prometheus reads it, in the order of the names."""
        lines: list[str] = []
        for name in sorted(self._families):
            family = self._families[name]
            lines += [f"# HELP {name} {_escaped(family.text)}", f"# TYPE {name} {family.kind}", *family.lines()]
        return "\n".join(lines) + "\n"

    def _add(self, family: Family) -> Family:
        self._families[family.name] = family
        return family


class OperatorMetrics(Metrics):
    """What the operator counts."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.counter(
            "backsweep_api_calls_total", "Calls to Kubernetes and Prefect by outcome.", ("api", "call", "code")
        )
        self.call_seconds = self.histogram(
            "backsweep_api_call_seconds", "How long calls take, each attempt alone.", CALL_SECONDS, ("api",)
        )
        self.passes = self.counter("backsweep_passes_total", "Passes over a sweep by how they ended.", ("end",))
        self.pass_seconds = self.histogram("backsweep_pass_seconds", "How long passes take.", CALL_SECONDS)
        self.queue_seconds = self.histogram(
            "backsweep_queue_seconds", "How long a sweep that is due waits for its pass.", CALL_SECONDS
        )
        self.time_to_cluster = self.histogram(
            "backsweep_time_to_cluster_seconds", "From an attempt's beginning to its ready cluster.", CLUSTER_SECONDS
        )
        self.leaks = self.counter(
            "backsweep_leaked_objects_total", "Objects found whose sweep is gone, by kind.", ("kind",)
        )
        self.events = self.counter("backsweep_watch_events_total", "What watches delivered, by kind.", ("kind",))
        self.drift = self.counter(
            "backsweep_resync_drift_total", "Sweeps a list touched that no watch had told of, by kind.", ("kind",)
        )
        self.status_writes = self.counter("backsweep_status_writes_total", "Writes of a sweep's status.")
        self.leading = self.gauge("backsweep_leading", "1 in the process that leads, else 0.")
        self.leading.set(0.0)


def _braces(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value, quotes=True)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
