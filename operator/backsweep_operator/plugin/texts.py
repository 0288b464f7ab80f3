"""What is shown of sweeps: pure text, from objects as the API server gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from backsweep_api.conditions import ConditionType, State
from backsweep_api.status import Overfitting, SweepStatus, instant_of

__all__ = ["details", "duration", "one_line", "result", "state_of", "status_of", "table"]

Raw = Mapping[str, Any]
NOT_SEEN = "New"
NOTHING = "-"
WIDTH = 12


def status_of(sweep: Raw) -> SweepStatus:
    """Return a sweep's status; of one that nobody has looked at yet an empty one."""
    return SweepStatus.model_validate(sweep.get("status") or {})


def state_of(sweep: Raw) -> str:
    """Return the state a sweep is in; New before the operator has seen it."""
    return str(status_of(sweep).state or NOT_SEEN)


def duration(seconds: float) -> str:
    """Return a time as kubectl writes ages: its two largest parts where the first is small."""
    whole = max(int(seconds), 0)
    days, hours, minutes = whole // 86_400, whole // 3_600, whole // 60
    if whole < 120:
        return f"{whole}s"
    if hours < 2:
        return f"{minutes}m{whole % 60}s" if minutes < 10 else f"{minutes}m"
    return f"{hours}h" if days < 2 else f"{days}d"


def table(sweeps: Sequence[Raw], now: float, *, everywhere: bool) -> str:
    """Return a line for each sweep, under the names of the columns.

    Parameters
    ----------
    now : seconds since 1970.
    everywhere : with the namespace of each.
    """
    if not sweeps:
        return "There are no sweeps here.\n"
    head = (*(("NAMESPACE",) if everywhere else ()), "NAME", "STATE", "DONE", "FAILED", "COST", "BEST", "AGE")
    rows = [head]
    for sweep in sweeps:
        status, meta = status_of(sweep), sweep["metadata"]
        trials, best = status.trials, status.best
        row = (
            meta["name"],
            state_of(sweep),
            NOTHING if trials is None else f"{trials.done}/{trials.total}",
            NOTHING if trials is None else str(trials.failed),
            _cost(status),
            NOTHING if best is None or best.value is None else f"{best.metric} {best.value:.3f}",
            duration(now - instant_of(meta["creationTimestamp"])),
        )
        rows.append((meta["namespace"], *row) if everywhere else row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def one_line(sweep: Raw) -> str:
    """Return the state and how far it is, for a log."""
    status = status_of(sweep)
    trials = status.trials
    parts = [state_of(sweep)]
    if status.run is not None:
        parts.append(f"attempt {status.run.attempt}")
    if trials is not None and trials.total:
        parts.append(f"{trials.done} of {trials.total} trials, {trials.failed} failed")
    if status.cost is not None:
        parts.append(_cost(status))
    return ", ".join(parts)


def details(sweep: Raw, now: float) -> str:
    """Return what there is to know about one sweep."""
    status, meta = status_of(sweep), sweep["metadata"]
    lines = [f"{meta['namespace']}/{meta['name']}: {state_of(sweep)}"]
    lines += [_line("because", message) for message in _reasons(status)]
    run, trials = status.run, status.trials
    if run is not None:
        workers = f", {run.workers} Ray workers" if run.workers else ", no Ray cluster"
        lines.append(
            _line("attempt", f"{run.attempt}, {run.phase}{workers}, begun {duration(now - run.started_at)} ago")
        )
        if run.failures:
            lines.append(_line("lost", f"{run.failures} to infrastructure since the last change"))
    if trials is not None:
        stored = f", {trials.cached} of them were stored before" if trials.cached else ""
        lines.append(_line("trials", f"{trials.done} of {trials.total} done, {trials.failed} failed{stored}"))
    if status.cost is not None:
        lines.append(_line("cost", f"{_cost(status)}, by the document's prices"))
    links = status.links
    if links is not None:
        lines += [_line(name, link) for name, link in (("Prefect", links.prefect), ("Ray", links.ray)) if link]
    if meta.get("generation", 0) != status.observed_generation:
        lines.append(_line("note", "the operator has not looked at the latest spec yet"))
    if status.manifest is not None:
        lines.append(_line("result", f"kubectl backtest results {meta['name']} -n {meta['namespace']}"))
    return "".join(f"{line}\n" for line in lines)


def result(sweep: Raw) -> str:
    """Return what a finished sweep has found, and how to check it; empty where there is no manifest."""
    status = status_of(sweep)
    if status.manifest is None:
        return ""
    uri = status.manifest.uri
    lines = [
        *_findings(status),
        _line("report", uri.removesuffix("manifest.json") + "report.html"),
        _line("manifest", uri),
        _line("digest", status.manifest.result_digest),
    ]
    return "".join(f"{line}\n" for line in lines)


def _findings(status: SweepStatus) -> Iterator[str]:
    """Yield the figures; what was not computed has no line."""
    best, luck, speed, trials = status.best, status.overfitting, status.speedup, status.trials
    computed = status.computed
    if best is not None:
        value = "undefined" if best.value is None else f"{best.value:.4f}"
        yield _line("best", f"{best.trial}, {best.metric} {value}")
    if luck is not None:
        yield _line("luck", ", ".join(_luck(luck)) or "not judged")
    if trials is not None:
        yield _line("trials", f"{trials.done} of {trials.total}, {trials.failed} failed")
    if speed is not None and speed.ratio is not None:
        efficiency = "" if speed.efficiency is None else f", {speed.efficiency:.0%} of each core"
        yield _line("speedup", f"{speed.ratio:.1f} times{efficiency}")
    if computed is not None and computed.bytes_returned:
        yield _line("returned", f"{computed.bytes_returned:,} bytes from Ray's workers")
    if status.cost is not None:
        yield _line("cost", f"{_cost(status)}, by the document's prices")


def _luck(luck: Overfitting) -> Iterator[str]:
    """Yield what is known of how much is luck."""
    if luck.pbo is not None:
        yield f"PBO {luck.pbo:.0%}"
    if luck.deflated_sharpe is not None:
        yield f"deflated Sharpe ratio {luck.deflated_sharpe:.3f}"
    if luck.effective_trials is not None:
        yield f"{luck.effective_trials:.1f} independent trials"
    if luck.trials_ever is not None:
        yield f"{luck.trials_ever:,} trials ever on this data"


def _reasons(status: SweepStatus) -> Iterator[str]:
    """Yield why it is as it is: what is refused, why it failed, else what the state says."""
    accepted, failed = status.condition(ConditionType.ACCEPTED), status.condition(ConditionType.FAILED)
    complete = status.condition(ConditionType.COMPLETE)
    if accepted is not None and accepted.status == "False":
        yield from accepted.message.splitlines()
    elif failed is not None and failed.status == "True":
        yield from f"{failed.reason}: {failed.message}".splitlines()
    elif complete is not None and complete.message and status.state is not State.SUCCEEDED:
        yield from complete.message.splitlines()


def _cost(status: SweepStatus) -> str:
    if status.cost is None:
        return NOTHING
    return f"{Decimal(status.cost.amount):.4f} {status.cost.currency}"


def _line(name: str, text: str) -> str:
    return f"  {name.ljust(WIDTH)}{text}"
