"""kubectl backtest against a real API server: what it shows live, writes, and says of what is not there."""

from __future__ import annotations

import io
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster import binaries
from tests.cluster.control_plane import ControlPlane, wait_until
from tests.cluster.operators import install_definition

from backsweep_operator.plugin import main

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "night"


@pytest.fixture
def backtest(plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Make a sweep, and return what runs the plugin as the administrator: its exit code and what it prints."""
    install_definition(plane)
    spec = {
        "data": {"name": "sp500-20"},
        "axes": {"profile": ["hrp", "min_variance"]},
        "storage": {"uri": "s3://bucket/prefix", "secretRef": {"name": "keys"}},
    }
    meta = {"name": NAME, "namespace": namespace}
    plane.apply({"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": meta, "spec": spec})
    monkeypatch.setenv("PATH", f"{binaries.find('kubectl').parent}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(plane.folder))

    def run(*arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        code = main([*arguments, f"--kubeconfig={plane.kubeconfig}", f"--namespace={namespace}"], out)
        return code, out.getvalue()

    return run


def write_status(plane: ControlPlane, namespace: str, state: str, **more: Any) -> None:
    """Write what the operator would."""
    stamp = {"lastTransitionTime": "2026-11-23T11:00:00Z", "observedGeneration": 1}
    ended = "True" if state == "Succeeded" else "False"
    condition = {"type": "Complete", "status": ended, "reason": state, "message": "", **stamp}
    patch = json.dumps({"status": {"observedGeneration": 1, "conditions": [condition], **more}})
    where = ("--subresource=status", "--type=merge", f"--namespace={namespace}")
    plane.kubectl("patch", "backtestsweeps.backsweep.dev", NAME, *where, f"--patch={patch}")


def test_suspend_and_resume_write_one_field(
    plane: ControlPlane, namespace: str, backtest: Callable[..., tuple[int, str]]
) -> None:
    before = plane.get("backtestsweeps.backsweep.dev", NAME, namespace)["spec"]
    assert backtest("suspend", NAME)[0] == 0
    assert plane.get("backtestsweeps.backsweep.dev", NAME, namespace)["spec"] == {**before, "suspend": True}
    assert backtest("suspend", NAME) == (0, f"{NAME} is suspended already; it is New\n")
    assert backtest("resume", NAME)[0] == 0
    assert plane.get("backtestsweeps.backsweep.dev", NAME, namespace)["spec"] == {**before, "suspend": False}


def test_status_follows_a_sweep_until_it_has_ended(
    plane: ControlPlane, namespace: str, backtest: Callable[..., tuple[int, str]]
) -> None:
    write_status(plane, namespace, "Running", trials={"total": 8, "done": 1, "cached": 0, "failed": 0})
    ended: list[tuple[int, str]] = []
    watching = threading.Thread(target=lambda: ended.append(backtest("status", NAME, "--watch")), daemon=True)
    watching.start()
    for done in (4, 6):
        watching.join(1.5)
        write_status(plane, namespace, "Running", trials={"total": 8, "done": done, "cached": 0, "failed": 0})
    watching.join(1.5)
    assert watching.is_alive()
    write_status(plane, namespace, "Succeeded", trials={"total": 8, "done": 8, "cached": 0, "failed": 0})
    wait_until(lambda: bool(ended), "the end of the watch", 20)
    code, text = ended[0]
    assert (code, text.splitlines()[-1]) == (0, "Succeeded, 8 of 8 trials, 0 failed")
    assert "Running, 6 of 8 trials, 0 failed" in text.splitlines()
    assert backtest("status")[1].splitlines()[1].split()[:3] == [NAME, "Succeeded", "8/8"]


def test_a_sweep_that_is_deleted_ends_the_watch(
    plane: ControlPlane, namespace: str, backtest: Callable[..., tuple[int, str]]
) -> None:
    ended: list[tuple[int, str]] = []
    watching = threading.Thread(target=lambda: ended.append(backtest("status", NAME, "--watch")), daemon=True)
    watching.start()
    watching.join(2)
    plane.kubectl("delete", "backtestsweeps.backsweep.dev", NAME, f"--namespace={namespace}")
    wait_until(lambda: bool(ended), "the end of the watch", 20)
    assert ended == [(1, f"New\n{NAME} was deleted\n")]


def test_what_is_not_there_yet_is_said(
    plane: ControlPlane, namespace: str, backtest: Callable[..., tuple[int, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    assert backtest("results", NAME) == (1, f"{NAME} has no result: New\n")
    assert backtest("logs", NAME) == (1, f"{NAME} has written nothing yet; it is New\n")
    manifest = {"uri": "s3://bucket/manifest.json", "resultDigest": "0" * 64}
    write_status(plane, namespace, "Succeeded", manifest=manifest)
    code, text = backtest("results", NAME, "--output=json")
    assert (code, json.loads(text)["manifest"]) == (0, manifest)
    capfd.readouterr()
    assert backtest("status", "day")[0] == 2
    assert '"day" not found' in capfd.readouterr().err
