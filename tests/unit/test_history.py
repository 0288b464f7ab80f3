"""History and diff of sweeps: every result that was committed is found, traced to its bytes, and compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backsweep.cli.main import main
from backsweep.errors import UserError
from backsweep.flow.finished.history import find_stored, history
from backsweep.ports import ManifestKey
from backsweep.stores.file import FileStore
from backsweep.stores.manifest import commit

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: tournament}
spec:
  data: {uri: "file://prices.csv", label: prices}
  walkForward: {test: 10, step: 10}
  axes:
    profile: [equal_weight, inverse_volatility, min_variance, benchmark]
    lookback: [40, 60]
    costs: [{slippageBps: 5}, {slippageBps: 50}]
"""
DAYS = np.arange("2020-01-01", "2020-09-01", dtype="datetime64[D]")
DAYS = DAYS[np.is_busday(DAYS)]

Call = Callable[..., tuple[int, str]]


def write_prices(path: Path, days: int, revised: float = 1.0) -> None:
    """Write a random walk of three assets; one price of `B` is multiplied by `revised`."""
    steps = np.random.default_rng(7).normal(0.0005, 0.01, size=(len(DAYS), 3))
    prices = 100 * np.exp(np.cumsum(steps, axis=0))
    prices[100, 1] *= revised
    lines = [f"{day},{','.join(f'{value:.6f}' for value in row)}" for day, row in zip(DAYS, prices, strict=True)]
    path.write_text("\n".join(["date,A,B,C", *lines[:days]]) + "\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three runs of one sweep: of 160 days, of 150 with a revised price, and of another document."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "sweep.yaml").write_text(DOCUMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for output, days, revised, sets in [
            ("first", 160, 1.0, []),
            ("second", 150, 1.02, []),
            ("third", 150, 1.02, ["--set", "axes.profile=hrp,min_variance,equal_weight"]),
        ]:
            write_prices(folder / "prices.csv", days, revised)
            assert main(["run", "sweep.yaml", "--no-prefect", "--json", "--output", output, *sets]) == 0
        yield folder


@pytest.fixture
def call(finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command in the folder of the runs; return its exit code and what it printed."""
    monkeypatch.chdir(finished)
    capsys.readouterr()

    def run(*arguments: str) -> tuple[int, str]:
        code = main(list(arguments))
        return code, "".join(capsys.readouterr())

    return run


def as_json(call: Call, *arguments: str, code: int = 0) -> Any:
    found, text = call(*arguments, "--json")
    assert found == code
    return json.loads(text)


def manifest_of(folder: Path, run: str) -> dict[str, Any]:
    return dict(json.loads((folder / run / "manifest.json").read_bytes()))


def test_every_result_is_listed_the_newest_first_and_the_replaced_one_named_as_parent(call: Call) -> None:
    listed = as_json(call, "history", "tournament")
    assert [each["stands"] for each in listed] == [True, True, False]
    third, second, first = listed
    assert second["parent"] == first["manifest"]
    assert third["parent"] is first["parent"] is None
    assert third["specDigest"] != second["specDigest"] == first["specDigest"]
    assert [each["trials"]["total"] for each in listed] == [10, 12, 12]
    assert [each["data"][0]["rows"] for each in listed] == [149, 149, 159]
    assert {each["best"]["metric"] for each in listed} == {"sharpe"}
    assert all(each["wallSeconds"] > 0 for each in listed)
    assert as_json(call, "history", "first") == as_json(call, "history") == listed


def test_the_table_says_what_stands(call: Call) -> None:
    code, text = call("history")
    assert code == 0
    lines = text.splitlines()
    assert [" * " in line for line in lines[1:4]] == [True, True, False]
    assert lines[0].split() == (
        ["when", "sweep", "document", "manifest", "result", "data", "trials", "best", "seconds"]
    )


def test_what_is_not_there_is_one_sentence(call: Call) -> None:
    for command in (["history", "no-such"], ["diff", "first", "no-such"], ["diff", "0000000", "first"]):
        code, text = call(*command)
        assert code == 2
        assert len(text.splitlines()) == 1
        assert "there is no such run folder, and no sweep of this name" in text
    code, text = call("diff", "tournament", "first")
    assert code == 2
    assert "has 2 manifests of sweeps of this name, of different documents; give one's digest" in text
    code, text = call("history", "--object", "nothing")
    assert (code, text) == (
        2,
        "backsweep: UserError: --object nothing: 8 to 64 hexadecimal digits of a digest are expected\n",
    )


def test_a_returns_matrix_is_traced_to_every_manifest_that_used_it(call: Call, finished: Path) -> None:
    listed = {each["manifest"]: each for each in as_json(call, "history")}
    digest = manifest_of(finished, "third")["result"]["data"][0]["digest"]
    used = as_json(call, "history", "--object", digest)
    assert {each["manifest"] for each in used} == {
        key for key, each in listed.items() if each["data"][0]["digest"] == digest
    }
    assert len(used) == 2
    assert all("result.data[0].digest" in [use["as"] for use in each["uses"]] for each in used)
    store = FileStore(finished / ".backsweep/store")
    described = json.loads(store.get_object(manifest_of(finished, "first")["run"]["datasets"][0]["object"]))
    (first,) = as_json(call, "history", "--object", described["arrays"]["simulation"][:16])
    assert first["resultDigest"] == manifest_of(finished, "first")["resultDigest"]
    assert {"as": "data prices, arrays.simulation"} in first["uses"]
    assert call("history", "--object", "0" * 64)[1] == f"no manifest in {store.uri} used {'0' * 64}\n"


def test_a_trials_returns_and_weights_are_traced_through_its_units(call: Call, finished: Path) -> None:
    store = FileStore(finished / ".backsweep/store")
    index = json.loads(store.get_object(manifest_of(finished, "third")["result"]["units"]["index"]))["units"]
    for kind, name in (("simulation", "returns"), ("solve", "weights")):
        unit, record = next(
            (unit, record) for unit, record, _ in store.get_units(sorted(index)) if record["kind"] == kind
        )
        used = as_json(call, "history", "--object", record["objects"][name])
        assert manifest_of(finished, "third")["resultDigest"] in [each["resultDigest"] for each in used]
        assert {"as": f"{kind}.{name}", "unit": unit} in used[0]["uses"]
        assert {"as": "unit", "unit": unit} in as_json(call, "history", "--object", unit)[0]["uses"]


def test_several_digests_that_begin_alike_are_refused(
    call: Call, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backsweep.flow.finished import tracing

    monkeypatch.setattr(tracing, "ASKED", re.compile("[0-9a-f]{1,64}"))
    code, text = call("history", "--object", "0")
    assert code == 2
    assert "digests begin with this (0" in text


def test_equal_results_are_no_difference(call: Call) -> None:
    code, text = call("diff", "first", "first")
    assert code == 0
    assert "the results are equal" in text
    found = as_json(call, "diff", "first", "first")
    assert found["trials"]["common"] == found["trials"]["equal"] == 12
    assert not any(found["inputs"].values())


def test_other_data_are_named_with_what_was_revised(call: Call) -> None:
    found = as_json(call, "diff", "first", "second", code=1)
    (data,) = found["inputs"]["data"]
    assert (data["label"], data["a"]["rows"], data["b"]["rows"]) == ("prices", 159, 149)
    assert data["a"]["last"] == str(DAYS[159])
    assert (data["rowsOnlyA"], data["rowsOnlyB"]) == (10, 0)
    assert (data["changedReturns"], data["firstChange"]) == (2, {"date": str(DAYS[100]), "asset": "B"})
    assert found["inputs"]["document"] == found["inputs"]["environment"] == []
    assert found["trials"]["common"] == 12
    assert found["trials"]["onlyA"] == found["trials"]["onlyB"] == []
    assert found["units"]["otherBytes"] == []


def test_metrics_of_common_trials_are_compared_by_number(call: Call, finished: Path) -> None:
    import pandas as pd

    found = as_json(call, "diff", "first", "second", code=1)["trials"]
    one, two = (pd.read_parquet(finished / run / "trials.parquet").set_index("trial") for run in ("first", "second"))
    apart = (two["cagr"] - one["cagr"]).abs()
    (cagr,) = [each for each in found["metrics"] if each["metric"] == "cagr"]
    assert cagr["worst"] == apart.max()
    assert (cagr["trial"], cagr["differ"]) == (apart.idxmax(), int((apart > 0).sum()))
    back = as_json(call, "diff", "second", "first", code=1)["trials"]
    assert [each["worst"] for each in back["metrics"]] == [each["worst"] for each in found["metrics"]]
    competing = one[(one["profile"] != "benchmark") & one["costs"].str.contains('"slippageBps":5}')].index
    moved = (two["sharpe"] - one["sharpe"]).abs()[competing].sort_values(ascending=False, kind="stable")
    assert [each["trial"] for each in found["moved"]] == list(moved.index)
    ranks = one.loc[competing, "sharpe"].rank(ascending=False)
    assert [each["rankA"] for each in found["moved"]] == [int(ranks[each["trial"]]) for each in found["moved"]]
    both = one.loc[competing, "sharpe"].corr(two.loc[competing, "sharpe"], method="spearman")
    assert found["rankCorrelation"] == pytest.approx(both)
    assert found["winner"]["a"]["trial"] == ranks.idxmin()


def test_another_document_is_told_by_its_fields_and_shares_units(call: Call) -> None:
    found = as_json(call, "diff", "second", "third", code=1)
    assert found["inputs"]["data"] == []
    fields = {each["path"]: each for each in found["inputs"]["document"]}
    assert fields["spec.axes.profile"] == {
        "path": "spec.axes.profile",
        "onlyA": ["inverse_volatility", "benchmark"],
        "onlyB": ["hrp"],
    }
    assert [each["path"] for each in found["inputs"]["environment"]] == ["seeds.bootstrap"]
    assert len(found["trials"]["onlyA"]) == 6
    assert len(found["trials"]["onlyB"]) == 4
    assert found["trials"]["common"] == 6
    assert found["units"]["common"] > 0
    metrics = {each["metric"]: each["differ"] for each in found["trials"]["metrics"]}
    # What a trial is by itself is the same; by how much it is luck depends on who it competes with.
    assert {name for name, differ in metrics.items() if differ} <= {"dsr"}


def test_what_is_not_kept_or_damaged_is_said(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    key = ManifestKey("local", "old", "ab" * 32)
    run = {"name": "old", "startedAt": "2026-01-01T00:00:00+00:00", "timings": {"solve": 1.5, "commit": 0.5}}
    result: dict[str, Any] = {
        "document": {"objective": {"metric": "sharpe"}},
        "data": [],
        "trials": {"total": 1},
        "best": None,
    }
    commit(store, key, result, {**run, "parent": "0" * 64})
    (listed,) = history(store)
    assert (listed["parentKept"], listed["wallSeconds"], listed["best"]) == (False, 2.0, None)
    stands = store.get_manifest(key)
    assert stands is not None
    store.commit_manifest(key, b"{}", stands.tag)
    commit(store, key, {**result, "data": [{"digest": "1" * 64}]}, run)
    now, damaged = history(store)
    assert now["problem"] is None
    assert now["parent"] == damaged["manifest"]
    assert damaged["problem"] == "the manifest has schema None; this version reads 'backsweep.dev/manifest/v1'"
    with pytest.raises(UserError, match="or manifest of this digest in"):
        find_stored(store, "abcdef0123")


def test_a_chain_keeps_its_order_where_a_clock_went_back(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    key = ManifestKey("local", "sweep", "ab" * 32)
    for number, day in enumerate(["05", "03", "04"]):
        run = {"name": "sweep", "startedAt": f"2026-01-{day}T00:00:00+00:00", "timings": {}}
        commit(store, key, {"document": {}, "number": number, "best": None, "trials": None}, run)
    listed = history(store, "sweep")
    assert [each["parent"] for each in listed] == [listed[1]["manifest"], listed[2]["manifest"], None]
