"""Commands on the trials of a finished run: explain, weights, export."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from backsweep.cli.tables import format_table
from backsweep.errors import UserError
from backsweep.flow.finished.reopen import Reopened, newest_run, reopen
from backsweep.notebook import FinishedSweep, find_trial
from backsweep.plan.labels import label_of

__all__ = ["explain", "export", "weights"]


def explain(options: argparse.Namespace) -> int:
    """Print what exactly was computed for a trial."""
    from backsweep.sweep.explanation import explain_trial

    reopened, timings = _open(options), _timings(options)
    described = explain_trial(reopened.series, reopened.store, find_trial(reopened, options.trial), timings)
    if options.json:
        _print_json(described)
    else:
        _print_explanation(described)
    return 0


def weights(options: argparse.Namespace) -> int:
    """Print a trial's target weights as of a day, or decided anew on the newest row."""
    from backsweep.flow.finished.latest import latest_targets, past_targets

    reopened = _open(options)
    row = find_trial(reopened, options.trial)
    latest = options.as_of == "latest"
    targets = latest_targets(reopened, row) if latest else past_targets(reopened, row, options.as_of)
    held = {
        symbol: float(weight) for symbol, weight in zip(targets.symbols, targets.weights, strict=True) if weight != 0
    }
    trial = reopened.series.table.trials[row].id
    cash = 1.0 - sum(held.values())
    if options.json:
        _print_json({"trial": trial, "decision": targets.decision, "weights": held, "cash": cash})
        return 0
    sys.stdout.write(f"trial {trial}, decided at the close of {targets.decision}:\n")
    rows = [[symbol, f"{weight:.6f}"] for symbol, weight in sorted(held.items(), key=lambda item: -item[1])]
    sys.stdout.write(format_table(["asset", "weight"], [*rows, ["cash", f"{cash:.6f}"]]))
    return 0


def export(options: argparse.Namespace) -> int:
    """Write net returns to a Parquet or CSV file."""
    output = Path(options.output)
    if output.suffix not in {".parquet", ".csv"}:
        raise UserError(f"--output {output}: write a name that ends in .parquet or .csv")
    frame = FinishedSweep(*_place(options)).returns(options.trials or None)
    draft = output.with_name(f".{output.name}.draft")
    try:
        frame.to_parquet(draft) if output.suffix == ".parquet" else frame.to_csv(draft)
        draft.replace(output)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written ({error})") from error
    finally:
        draft.unlink(missing_ok=True)
    sys.stdout.write(f"{output}: {len(frame):,} days of {frame.shape[1]:,} trials\n")
    return 0


def _open(options: argparse.Namespace) -> Reopened:
    return reopen(*_place(options))


def _place(options: argparse.Namespace) -> tuple[str, str | None, str | None]:
    """Return what `open_manifest` opens: what --run names, or else the newest run folder."""
    return options.run or str(newest_run(Path("runs"))), options.endpoint_url, options.region


def _timings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the timings a run folder keeps; a store keeps none."""
    path = Path(_place(options)[0].removeprefix("file://"))
    file = (path if path.is_dir() else path.parent) / "timings.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _print_explanation(described: dict[str, Any]) -> None:
    write = sys.stdout.write
    write(f"trial {described['trial']}  (solve {described['solve']}, {described['status']})\n")
    for axis, value in described["axes"].items():
        write(f"  {axis:<16} {label_of(value)}\n")
    if described["error"]:
        write(f"failed: {described['error']}\n")
    rows = described["testRows"]
    write(
        f"{described['windowCount']:,} windows, {described['failedWindows']:,} failed; test rows {rows['first']} to "
        f"{rows['last']}: {rows['count']:,}, of which {rows['ranked']:,} rank\n"
    )
    numbers = [[name, "-" if value is None else f"{value:.6g}"] for name, value in described["metrics"].items()]
    write(format_table(["metric", "value"], numbers))
    if "traded" in described:
        traded = described["traded"]
        write(f"traded: {traded['firstPurchase']:.3f} at the first purchase, then {traded['perYear']:.3f} a year\n")
    units = [
        [
            f"{unit['windows'][0]}-{unit['windows'][1] - 1}",
            unit["unit"][:16],
            _scientific(unit["worstCertificate"]),
            str(len(unit["failures"])),
        ]
        for unit in described["units"]
    ]
    write("solve units:\n")
    write(format_table(["windows", "unit", "worst certificate", "failed"], units))
    cells = [
        [cell["stage"], cell["estimator"], f"{cell['seconds']:.3f}", str(cell["sharedBy"]), _share(cell)]
        for cell in described["time"]
    ]
    write("where the time of the run that computed it went:\n")
    write(format_table(["stage", "estimator", "seconds", "shared by", "its share, ms"], cells))
    if described.get("windows"):
        write("some windows (training rows, decision, test rows, largest weights):\n")
        write(format_table(["trained on", "decided", "tested on", "largest weights"], _windows(described["windows"])))


def _windows(windows: list[dict[str, Any]]) -> list[list[str]]:
    rows = []
    for window in windows:
        held = window["weights"]
        shown = "failed" if held is None else " ".join(f"{symbol} {weight:.3f}" for symbol, weight in held.items())
        rows.append([" to ".join(window["train"]), window["decision"], " to ".join(window["test"]), shown])
    return rows


def _scientific(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _share(cell: dict[str, Any]) -> str:
    return f"{1000 * cell['seconds'] / max(cell['sharedBy'], 1):.2f}"
