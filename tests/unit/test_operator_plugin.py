"""kubectl backtest: what it shows of sweeps, and what it says where there is nothing to show."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from backsweep_api.conditions import State
from backsweep_api.names import sweep_folder
from backsweep_api.status import instant_of
from backsweep_operator.plugin.commands import main
from backsweep_operator.plugin.kubectl import read_events
from backsweep_operator.plugin.texts import details, duration, one_line, result, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = instant_of("2026-11-23T12:00:00Z")
DIGEST = "0" * 64


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    stamp = {"lastTransitionTime": "2026-11-23T11:00:00Z", "observedGeneration": 1}
    return {"type": kind, "status": status, "reason": reason, "message": message, **stamp}


def sweep(name: str, state: State | None, *more: dict[str, Any], **status: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "quant", "generation": 1, "creationTimestamp": "2026-11-23T10:00:00Z"}
    found: dict[str, Any] = {"metadata": meta, "spec": {}}
    if state is not None:
        complete = "True" if state is State.SUCCEEDED else "False"
        conditions = [condition("Complete", complete, str(state)), *more]
        found["status"] = {"observedGeneration": 1, "conditions": conditions, **status}
    return found


def running() -> dict[str, Any]:
    run = {"specDigest": DIGEST, "attempt": 2, "phase": "Active", "startedAt": int(NOW) - 300, "workers": 3}
    return sweep(
        "night",
        State.RUNNING,
        run={**run, "runStartedAt": int(NOW) - 900, "failures": 1},
        trials={"total": 400, "done": 120, "cached": 40, "failed": 1},
        cost={"amount": "0.125", "currency": "EUR", "simulated": True, "checkpoint": 1},
        links={"prefect": "https://prefect.example/runs/1"},
    )


def finished() -> dict[str, Any]:
    return sweep(
        "done",
        State.SUCCEEDED,
        trials={"total": 400, "done": 400, "cached": 0, "failed": 0},
        best={"trial": "a1b2", "metric": "sharpe", "value": 1.23456},
        overfitting={"pbo": 0.12, "deflatedSharpe": 0.951, "effectiveTrials": 35.04, "trialsEver": 1200},
        speedup={"ratio": 7.9, "efficiency": 0.985},
        computed={"where": "cluster", "bytesReturned": 240_000},
        manifest={"uri": "s3://bucket/manifest.json", "resultDigest": DIGEST},
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (119, "119s"), (120, "2m0s"), (599, "9m59s"), (600, "10m"), (7_200, "2h"), (172_800, "2d")],
)
def test_ages_are_written_as_kubectl_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_all_sweeps_are_a_table() -> None:
    lines = table([running(), finished(), sweep("new", None)], NOW, everywhere=False).splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "STATE", "DONE", "FAILED", "COST", "BEST", "AGE"],
        ["night", "Running", "120/400", "1", "0.1250", "EUR", "-", "2h"],
        ["done", "Succeeded", "400/400", "0", "-", "sharpe", "1.235", "2h"],
        ["new", "New", "-", "-", "-", "-", "2h"],
    ]
    assert table([running()], NOW, everywhere=True).splitlines()[1].startswith("quant")
    assert table([], NOW, everywhere=False) == "There are no sweeps here.\n"


def test_one_sweep_is_told_in_full() -> None:
    assert details(running(), NOW).splitlines() == [
        "quant/night: Running",
        "  attempt     2, Active, 3 Ray workers, begun 5m0s ago",
        "  lost        1 to infrastructure since the last change",
        "  trials      120 of 400 done, 1 failed, 40 of them were stored before",
        "  cost        0.1250 EUR, by the document's prices",
        "  Prefect     https://prefect.example/runs/1",
    ]
    assert one_line(running()) == "Running, attempt 2, 120 of 400 trials, 1 failed, 0.1250 EUR"


def test_what_stops_a_sweep_is_told_first() -> None:
    refused = sweep("bad", State.NOT_ACCEPTED, condition("Accepted", "False", "Invalid", "spec.a is b\nspec.c is d"))
    assert details(refused, NOW).splitlines()[1:] == ["  because     spec.a is b", "  because     spec.c is d"]
    failed = sweep("bad", State.FAILED, condition("Failed", "True", "BudgetExceeded", "it would cost more"))
    assert details(failed, NOW).splitlines()[1:] == ["  because     BudgetExceeded: it would cost more"]


def test_a_spec_nobody_looked_at_yet_is_said_to_be_new() -> None:
    changed = running()
    changed["metadata"]["generation"] = 2
    assert "  note        the operator has not looked at the latest spec yet" in details(changed, NOW).splitlines()


def test_results_are_what_the_manifest_vouches_for() -> None:
    assert result(finished()).splitlines() == [
        "  best        a1b2, sharpe 1.2346",
        "  luck        PBO 12%, deflated Sharpe ratio 0.951, 35.0 independent trials, 1,200 trials ever on this data",
        "  trials      400 of 400, 0 failed",
        "  speedup     7.9 times, 98% of each core",
        "  returned    240,000 bytes from Ray's workers",
        "  report      s3://bucket/report.html",
        "  manifest    s3://bucket/manifest.json",
        f"  digest      {DIGEST}",
    ]
    assert result(running()) == ""


def test_events_are_read_over_any_lines() -> None:
    events = [{"type": "ADDED", "object": {"a": "}{"}}, {"type": "DELETED", "object": {}}]
    text = "".join(json.dumps(each, indent=2) + "\n" for each in events) + json.dumps(events[0]) * 2
    found = list(read_events(iter(text.splitlines(keepends=True))))
    assert [(each.type, each.object) for each in found] == [
        ("ADDED", {"a": "}{"}),
        ("DELETED", {}),
        ("ADDED", {"a": "}{"}),
        ("ADDED", {"a": "}{"}),
    ]


def test_without_kubectl_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    assert main(["status"], io.StringIO()) == 2
    assert capsys.readouterr().err == "kubectl is not on the path; install it, this command calls it\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["status", "--watch"], "--watch shows one sweep; name it\n"),
        (["status", "a", "-A"], "--all-namespaces shows all sweeps; leave out the name, or give its --namespace\n"),
    ],
)
def test_contradictions_are_refused(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    kubectl.chmod(0o755)
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    assert main(arguments, io.StringIO()) == 2
    assert capsys.readouterr().err == sentence


def test_kubectl_is_quoted_without_its_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    log = 'E1123 22:56:53.536616   27752 memcache.go:265] "Unhandled Error"'
    kubectl.write_text(f"#!/bin/sh\necho '{log}' >&2\necho 'it was refused' >&2\nexit 1\n", encoding="utf-8")
    kubectl.chmod(0o755)
    monkeypatch.setitem(os.environ, "PATH", f"{tmp_path}:/bin")
    assert main(["suspend", "night"], io.StringIO()) == 2
    assert capsys.readouterr().err == "it was refused\n"


@pytest.fixture
def without_pods(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, Any]], None]:
    """Return what puts a kubectl on the path that knows one sweep, and no pod of it."""

    def put(found: dict[str, Any]) -> None:
        (tmp_path / "sweep.json").write_text(json.dumps(found), encoding="utf-8")
        kubectl = tmp_path / "kubectl"
        kubectl.write_text(f"#!/bin/sh\ntest $2 = pods || cat {tmp_path}/sweep.json\n", encoding="utf-8")
        kubectl.chmod(0o755)
        monkeypatch.setitem(os.environ, "PATH", f"{tmp_path}:/bin")

    return put


@pytest.mark.parametrize(
    ("options", "role", "shown"),
    [
        ([], "flow", "first\nlast\n"),
        (["--tail=1"], "flow", "last\n"),
        (["--tail=0"], "flow", ""),
        (["--role=worker"], "worker", "printed\n"),
    ],
)
def test_what_pods_said_is_read_from_the_store_when_they_are_gone(
    options: list[str], role: str, shown: str, tmp_path: Path, without_pods: Callable[[dict[str, Any]], None]
) -> None:
    folder = tmp_path / "store" / sweep_folder("quant", "night", DIGEST) / "logs"
    folder.mkdir(parents=True)
    (folder / "20261123T115500Z-1a2b3c4d.flow.log").write_text("first\nlast\n", encoding="utf-8")
    (folder / "20261123T115500Z-1a2b3c4d.workers.log").write_text("printed\n", encoding="utf-8")
    ended = running()
    ended["status"]["links"] = {"logs": f"{folder.as_uri()}/"}
    without_pods(ended)
    out = io.StringIO()
    assert main(["logs", "night", *options], out) == 0
    assert out.getvalue() == f"attempt 2 of night has no {role} pod; the newest log in its store:\n{shown}"


def test_a_store_without_that_log_and_logs_that_are_nowhere_are_a_sentence(
    tmp_path: Path, without_pods: Callable[[dict[str, Any]], None], capfd: pytest.CaptureFixture[str]
) -> None:
    gone = finished()
    gone["status"]["run"] = running()["status"]["run"]
    gone["status"]["manifest"]["uri"] = f"{tmp_path.as_uri()}/{sweep_folder('quant', 'done', DIGEST)}/manifest.json"
    without_pods(gone)
    assert main(["logs", "done"], io.StringIO()) == 2
    assert "has no flow log of it" in capfd.readouterr().err
    assert main(["logs", "done", "--role=head"], io.StringIO()) == 2
    assert "what the head wrote is gone with its pod" in capfd.readouterr().err
    without_pods(running())
    assert main(["logs", "night"], io.StringIO()) == 2
    assert "status does not say where the store is" in capfd.readouterr().err
