"""What a person wants to see of a sweep on the dashboard, as Prefect's artifacts; nothing here speaks to a server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backsweep.flow import Finished
    from backsweep.sweep.compute import Progress

__all__ = ["Artifact", "finished_artifacts", "key_of", "progress_artifact", "progress_sentence"]

METRICS = ("sharpe", "cagr", "volatility", "max_drawdown", "turnover", "psr", "dsr")
LARGEST_PICTURE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Artifact:
    """One artifact, as Prefect's REST API takes it."""

    key: str
    type: str
    data: Any
    description: str


def key_of(kind: str, name: str) -> str:
    """Return an artifact's key: Prefect takes lowercase letters, digits and dashes only."""
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{name}".lower()).strip("-")


def progress_artifact(name: str, progress: Progress, seconds: float) -> Artifact:
    """Return the bar: percent of the trials that are done."""
    percent = 100.0 * progress.done / progress.total if progress.total else 100.0
    return Artifact(key_of("progress", name), "progress", percent, progress_sentence(progress, seconds))


def progress_sentence(progress: Progress, seconds: float) -> str:
    """Return how far the sweep is after `seconds`, in a line."""
    fresh = progress.done - progress.cached
    rate = fresh / seconds if seconds > 0 else 0.0
    cached = f" ({progress.cached:,} from the store)" if progress.cached else ""
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    left = f", {(progress.total - progress.done) / rate:,.0f} s left" if rate and progress.done < progress.total else ""
    return f"{progress.done:,}/{progress.total:,} trials{cached}, {rate:,.0f}/s{left}{failed}"


def finished_artifacts(finished: Finished) -> list[Artifact]:
    """Return leaders, verdict, places, speedup, cost and heatmap of a finished sweep."""
    name = finished.prepared.document.metadata.name
    summary = finished.summary
    found = [
        Artifact(key_of("leaders", name), "table", _leaders(summary), f"leaders by {summary['objective']}"),
        Artifact(key_of("verdict", name), "markdown", _verdict(summary), "is the winner luck?"),
        Artifact(key_of("files", name), "markdown", _places(finished), "report, manifest, store"),
    ]
    if summary["speedup"] is not None:
        speedup = summary["speedup"]
        found.append(Artifact(key_of("speedup", name), "table", _speedup(speedup), speedup["sentence"]))
    if summary["cost"] is not None:
        cost = summary["cost"]
        told = f"{cost['amount']} {cost['currency']}, simulated: {cost['prices']}"
        found.append(Artifact(key_of("cost", name), "table", json.dumps(cost["stages"]), told))
    picture = finished.pages["heatmap.png"]
    if len(picture) <= LARGEST_PICTURE_BYTES:
        found.append(Artifact(key_of("heatmap", name), "image", _data_uri(picture), "where the time went"))
    return found


def _leaders(summary: Mapping[str, Any]) -> str:
    metrics = list(dict.fromkeys([summary["objective"], *METRICS]))
    rows = [
        {"rank": leader["rank"], "trial": leader["trial"]}
        | leader["axes"]
        | {name: _rounded(leader["metrics"][name]) for name in metrics}
        for leader in summary["leaders"]
    ]
    return json.dumps(rows)


def _speedup(found: Mapping[str, Any]) -> str:
    rows = [
        ("serial seconds", found["baselineSeconds"]),
        ("their standard error", found["baselineError"]),
        ("seconds by the clock", found["wallSeconds"]),
        ("workers", found["workers"]),
        ("speedup", found["ratio"]),
        ("efficiency", found["efficiency"]),
        ("measured by", found["baselineMethod"]),
    ]
    return json.dumps([{"what": what, "value": value} for what, value in rows])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _verdict(summary: Mapping[str, Any]) -> str:
    sentences = "\n".join(f"- {sentence}" for sentence in summary["verdict"])
    trials = summary["trials"]
    counts = f"{trials['total']:,} trials, {trials['cached']:,} from the store, {trials['failed']:,} failed"
    return f"## Is the winner luck?\n\n{sentences}\n\n{counts}.\n"


def _places(finished: Finished) -> str:
    """Paths and not links: a browser follows no link from a server to a file."""
    place = finished.place
    rows = [
        ("report", f"{place}/report.html"),
        ("manifest", f"{place}/manifest.json"),
        ("store", finished.prepared.store.uri),
        ("result digest", finished.result_digest),
        ("check it", f"backsweep verify {place}/manifest.json"),
    ]
    return "| what | where |\n|---|---|\n" + "".join(f"| {what} | `{where}` |\n" for what, where in rows)


def _data_uri(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
