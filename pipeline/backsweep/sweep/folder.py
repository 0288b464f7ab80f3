"""The run folder: what a person opens when a sweep is done. It appears whole or not at all."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backsweep.errors import UserError
from backsweep.report.tables import write_returns, write_weights
from backsweep.sweep.series import SweepSeries

__all__ = ["FolderContents", "check_output", "write_folder"]

MOST_SERIES = 1000


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What goes into a run folder besides the series.

    Parameters
    ----------
    manifest, trials : bytes of manifest.json and trials.parquet.
    timings : of timings.json.
    pages : file name -> bytes of heatmap.png and report.html.
    rows : rows of the trials table whose series are written, the leaders first.
    """

    manifest: bytes
    trials: bytes
    timings: Mapping[str, Any]
    pages: Mapping[str, bytes]
    rows: Sequence[int]


def check_output(folder: Path) -> None:
    """Refuse, before anything is computed, an output folder that holds something else than an earlier run.

    Raises
    ------
    UserError
    """
    if importlib.util.find_spec("PIL") is None:
        raise UserError("the report is drawn by Pillow, which is not installed: pip install 'backsweep[report]'")
    if folder.is_file():
        raise UserError(f"--output {folder}: it is a file; give a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "manifest.json").is_file():
        message = f"--output {folder}: it holds files that are no earlier run of Backsweep; give an empty or new folder"
        raise UserError(message)


def write_folder(folder: Path, contents: FolderContents, series: SweepSeries) -> None:
    """Write the run folder beside its place and move it there, over an earlier run.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UserError(f"--output {folder}: cannot be written ({error})") from error
    try:
        _fill(draft, contents, series)
        draft.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.replace(old)
            draft.replace(folder)
            shutil.rmtree(old)
        else:
            draft.replace(folder)
    except OSError as error:
        raise UserError(f"--output {folder}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(draft: Path, contents: FolderContents, series: SweepSeries) -> None:
    (draft / "manifest.json").write_bytes(contents.manifest)
    (draft / "trials.parquet").write_bytes(contents.trials)
    (draft / "timings.json").write_text(json.dumps(contents.timings, indent=1) + "\n", encoding="utf-8")
    for name, data in contents.pages.items():
        (draft / name).write_bytes(data)
    table = series.table
    # One data set's days are no other's: the series of the base data set share an index, so only they share a file.
    base = [row for row in contents.rows if series.data_of(row) == 0][:MOST_SERIES]
    ids = [table.trials[row].id for row in base]
    write_returns(draft / "returns.parquet", series.test_dates(0), dict(zip(ids, series.nets(base), strict=True)))
    weights = draft / "weights"
    weights.mkdir()
    solves: dict[str, int] = {}  # the leader of each
    for row in contents.rows[:MOST_SERIES]:
        if series.task_of(row).units:
            solves.setdefault(table.trials[row].solve, row)
    for (solve, row), targets in zip(solves.items(), series.many_targets(list(solves.values())), strict=True):
        returns, windows = series.plan.datasets[series.data_of(row)], series.windows_of(row)
        write_weights(weights / f"{solve}.parquet", returns.dates[windows.test_start], returns.symbols, targets)
