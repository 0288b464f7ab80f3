"""The user's own profiles and whole backtests: what they see, what they may answer, what their failures leave."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import backsweep

DOCUMENT: dict[str, Any] = {
    "apiVersion": "backsweep.dev/v1alpha1",
    "kind": "BacktestSweep",
    "metadata": {"name": "own"},
    "spec": {
        "data": {"name": "sp500-20", "start": "2012-01-03", "end": "2015-12-31"},
        "walkForward": {"purge": 2},
        "strategy": {"entrypoint": "mine:choose"},
        "axes": {"lookback": [100], "rebalance": ["window"]},
        "execution": {"maxFailedTrialsPercent": 100},
    },
}


def document(**changes: Any) -> dict[str, Any]:
    """Return the document with parts of its spec replaced."""
    return {**DOCUMENT, "spec": {**DOCUMENT["spec"], **changes}}


def run(folder: Path, code: str, spec: dict[str, Any]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run the document with `code` as the module `mine`; return the summary and the trials."""
    (folder / "mine.py").write_text(code)
    (folder / "sweep.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "backsweep", "run", "sweep.json", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary, pd.read_parquet(folder / "runs/own/trials.parquet")


SEES = """
import pandas as pd
def choose(context):
    assert len(context.returns) == 100
    last = context.returns.index[-1]
    assert context.prices.index[-1] == last == context.features["rate"].index[-1]
    assert len(context.prices) >= 100
    assert (pd.offsets.BDay(1) + last) < context.date + pd.offsets.BDay(1), "purged rows are not shown"
    moved = context.prices.iloc[-1] / context.prices.iloc[-2] - 1
    pd.testing.assert_series_equal(moved, context.returns.iloc[-1], check_names=False)
    if context.previous is None:
        return {context.symbols[0]: 1.0}
    (held,) = [symbol for symbol, weight in context.previous.items() if weight]
    return {context.symbols[(context.symbols.index(held) + 1) % len(context.symbols)]: 1.0}
"""


def test_a_strategy_sees_its_training_rows_features_and_previous_target_and_nothing_later(tmp_path: Path) -> None:
    days = pd.bdate_range("2011-06-01", "2016-06-01", name="date")
    pd.DataFrame({"date": days, "level": np.arange(len(days), dtype=float)}).to_csv(tmp_path / "rate.csv", index=False)
    data = {**DOCUMENT["spec"]["data"], "features": [{"name": "rate", "uri": "file://rate.csv"}]}
    strategy = {"entrypoint": "mine:choose", "usesPrevious": True}
    code = SEES.replace('== context.features["rate"].index[-1]', '>= context.features["rate"].index[-1]')
    _, trials = run(tmp_path, code, document(data=data, strategy=strategy))
    assert trials["status"].tolist() == ["ok"], trials["error"].tolist()
    weights = backsweep.open(tmp_path / "runs/own").weights(trials["trial"][0])
    assert weights.to_numpy().argmax(axis=1).tolist() == [window % 20 for window in range(len(weights))]


def test_an_exception_fails_its_trial_with_the_traceback_and_nothing_else(tmp_path: Path) -> None:
    code = """
def choose(context, mood):
    if mood == "bad" and context.date.year == 2013:
        return context.no_such_thing
    return {context.symbols[0]: 0.5}
"""
    spec = document(
        strategy={"entrypoint": "mine:choose", "parameters": {"mood": ["good", "bad"]}},
        axes={"profile": ["strategy", "equal_weight"], "lookback": [100], "rebalance": ["window"]},
    )
    summary, trials = run(tmp_path, code, spec)
    assert summary["trials"]["failed"] == 1
    failed = trials[trials["status"] == "failed"].iloc[0]
    assert failed["parameters.mood"] == "bad"
    assert "AttributeError" in failed["error"]
    assert "mine.py:4 in choose: return context.no_such_thing" in failed["error"]
    assert str(tmp_path) not in failed["error"], "the text must be the same on every machine"
    assert (trials["status"] == "ok").sum() == 2


def test_an_answer_that_is_no_set_of_weights_is_refused_in_words(tmp_path: Path) -> None:
    code = """
def choose(context, answer):
    return {"unknown": {"NOPE": 1.0}, "short": [1.0], "nan": [float("nan")] * len(context.symbols)}[answer]
"""
    spec = document(strategy={"entrypoint": "mine:choose", "parameters": {"answer": ["unknown", "short", "nan"]}})
    _, trials = run(tmp_path, code, spec)
    said = " ".join(trials["error"])
    assert "gave a weight to 'NOPE', which takes no part in this window" in said
    assert "gave an array of shape (1,)" in said
    assert "is not a finite number" in said


def test_a_change_of_the_code_computes_again_and_no_change_does_not(tmp_path: Path) -> None:
    code = "def choose(context):\n    return {context.symbols[0]: 1.0}\n"
    first, _ = run(tmp_path, code, DOCUMENT)
    again, _ = run(tmp_path, code, DOCUMENT)
    other, _ = run(tmp_path, code.replace("[0]", "[1]"), DOCUMENT)
    assert [found["computed"]["solveUnits"] > 0 for found in (first, again, other)] == [True, False, True]
    assert first["resultDigest"] == again["resultDigest"] != other["resultDigest"]


def test_a_whole_backtest_gives_its_own_net_returns(tmp_path: Path) -> None:
    code = """
def choose(context, scale):
    assert context.test_dates[0] == context.windows["test_start"].iloc[0]
    charge = context.costs.slippage_bps * 1e-4
    return scale * context.returns["KO"].reindex(context.test_dates) - charge
"""
    spec = document(
        strategy={"entrypoint": "mine:choose", "kind": "backtest", "parameters": {"scale": [0.5, 1.0]}},
        axes={
            "lookback": [100],
            "costs": [{"slippageBps": 0, "commissionBps": 0}, {"slippageBps": 5, "commissionBps": 0}],
        },
    )
    _, trials = run(tmp_path, code, spec)
    assert len(trials) == 4
    assert trials["turnover"].isna().all()
    returns = backsweep.open(tmp_path / "runs/own").returns()
    whole = trials.set_index(["parameters.scale", "costs"])["trial"]
    free = whole.loc[(1, '{"borrowRate":"0","commissionBps":0,"slippageBps":0}')]
    half = whole.loc[(0.5, '{"borrowRate":"0","commissionBps":0,"slippageBps":0}')]
    np.testing.assert_allclose(returns[half], 0.5 * returns[free], atol=1e-15)


def test_an_entrypoint_that_cannot_be_found_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps(document(strategy={"entrypoint": "nowhere_at_all:choose"})))
    command = [sys.executable, "-m", "backsweep", "run", "sweep.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "spec.strategy.entrypoint: no module 'nowhere_at_all' beside the document or installed" in done.stderr
