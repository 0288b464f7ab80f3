"""A sweep in a notebook: run one, open a finished one, look at its trials as DataFrames."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backsweep.errors import UserError
from backsweep.flow.finished.reopen import Reopened, open_manifest, reopen_from
from backsweep.stores.manifest import parse_manifest

if TYPE_CHECKING:
    import pandas as pd

    from backsweep.arrays import Dates, Float

__all__ = ["FinishedSweep", "open_sweep", "run_sweep"]


class FinishedSweep:
    """A finished sweep, read from its manifest and store; see `open_sweep`.

    A trial may be named by its id or the beginning of it; ``best`` is the winner.
    """

    def __init__(self, place: str | Path, endpoint_url: str | None = None, region: str | None = None) -> None:
        self._store, self._data = open_manifest(place, endpoint_url, region)
        parse_manifest(self._data)
        self.manifest: dict[str, Any] = json.loads(self._data)

    def __repr__(self) -> str:
        run, result = self.manifest["run"], self.manifest["result"]
        digest = self.manifest["resultDigest"][:16]
        return f"<sweep {run['name']}: {result['trials']['total']:,} trials, result {digest}>"

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: its axes, status and metrics."""
        import io

        import pandas as pd

        data = self._store.get_object(self.manifest["result"]["objects"]["trials"])
        return pd.read_parquet(io.BytesIO(data)).set_index("trial")

    @property
    def verdict(self) -> list[str]:
        """Whether to believe the winner, in sentences."""
        return list(self.manifest["run"]["verdict"])

    def returns(self, trials: Sequence[str] | str | None = None) -> pd.DataFrame:
        """Net returns of the test rows, one column a trial; all trials of the base data set unless some are named."""
        import pandas as pd

        rows = self._rows(trials)
        data = self._same_data(rows)
        series = self._reopened.series
        columns = {series.table.trials[row].id: series.net(row) for row in rows}
        return pd.DataFrame(columns, index=_index(series.test_dates(data)))

    def weights(self, trial: str) -> pd.DataFrame:
        """Target weights, one row a window (the date of its first test row), one column an asset."""
        (row,) = self._rows(trial)
        series = self._reopened.series
        returns, windows = series.plan.datasets[series.data_of(row)], series.windows_of(row)
        return _frame(series.targets(row), returns.dates[windows.test_start], returns.symbols)

    def positions(self, trial: str) -> pd.DataFrame:
        """Drifted weights at the close of each test row, before any trade there; the rest is cash."""
        from backsweep.simulate import positions

        (row,) = self._rows(trial)
        series = self._reopened.series
        data = series.data_of(row)
        returns, windows = series.plan.datasets[data], series.windows_of(row)
        held = positions(series.targets(row), windows, returns, series.rebalance_of(row), "hold")
        return _frame(held, series.test_dates(data), returns.symbols)

    @cached_property
    def _reopened(self) -> Reopened:
        return reopen_from(self._store, parse_manifest(self._data))

    def _rows(self, trials: Sequence[str] | str | None) -> list[int]:
        series = self._reopened.series
        if trials is None:
            return [row for row in range(len(series.table)) if series.table.returns[row] and series.data_of(row) == 0]
        return [find_trial(self._reopened, trial) for trial in ([trials] if isinstance(trials, str) else trials)]

    def _same_data(self, rows: Sequence[int]) -> int:
        found = {self._reopened.series.data_of(row) for row in rows} or {0}
        if len(found) > 1:
            raise UserError("returns: the trials ran on different data sets; ask for those of one at a time")
        return found.pop()


def find_trial(reopened: Reopened, name: str) -> int:
    """Return the row of the trial whose id begins with `name`, or of the winner for ``best``.

    Raises
    ------
    UserError
        If no trial, or more than one, begins so.
    """
    best = reopened.manifest.result["best"]
    if name == "best":
        if best is None:
            raise UserError("best: this sweep has no winner")
        name = best["trial"]
    found = [row for row, trial in enumerate(reopened.series.table.trials) if trial.id.startswith(name)]
    if len(found) != 1:
        how_many = "no trial begins" if not found else f"{len(found)} trials begin"
        raise UserError(f"{name}: {how_many} with this; trial ids are in the first column of trials.parquet")
    return found[0]


def open_sweep(uri: str | Path, endpoint_url: str | None = None, region: str | None = None) -> FinishedSweep:
    """Open a finished sweep: its run folder, its manifest, or its manifest's address in a bucket."""
    return FinishedSweep(uri, endpoint_url, region)


def run_sweep(spec: str | Path | dict[str, Any], output: str | Path | None) -> FinishedSweep:
    """Run a sweep in a process of its own and open its result.

    Raises
    ------
    UserError
        With what the run said, if it did not finish.
    """
    text = _text(spec)
    command = [sys.executable, "-m", "backsweep", "run", "-" if text is not None else str(spec), "--json"]
    if output is not None:
        command += ["--output", str(output)]
    finished = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise UserError(finished.stderr.strip() or f"the run ended with exit code {finished.returncode}")
    for said in finished.stderr.splitlines():
        if ": note: " in said:
            warnings.warn(said, stacklevel=3)  # 3: the line that calls backsweep.run
    return FinishedSweep(json.loads(finished.stdout)["output"])


def _text(spec: str | Path | dict[str, Any]) -> str | None:
    """Return the document's text; None for the path of a file."""
    if isinstance(spec, dict):
        return json.dumps(spec)
    return spec if isinstance(spec, str) and "\n" in spec else None


def _frame(values: Float, dates: Dates, symbols: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(values, index=_index(dates), columns=list(symbols))


def _index(dates: Dates) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(dates.astype("datetime64[ms]"), name="date")
