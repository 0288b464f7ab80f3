"""The documents that are applied to a cluster, and what a laptop makes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml
from tests.e2e.releases import PROGRAMS, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LITTLE = {"head": {"cpu": "300m"}, "workers": {"min": 2, "max": 2, "cpu": "400m"}}


def example(name: str, **spec: Any) -> dict[str, Any]:
    """Read a document of examples/ and say more in its spec."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text(encoding="utf-8"))
    document["spec"] |= spec
    return document


def slow_sweep(name: str, start: str, limits: int, beside: int = 0, **spec: Any) -> dict[str, Any]:
    """Return a document whose trials take seconds each: a turnover limit chains the windows of a linear programme.

    Parameters
    ----------
    limits : how many of them; three trials for each.
    beside : another number gives limits of which no other sweep has a trial in the store; below ten.
    spec : more of it.
    """
    return {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": name},
        "spec": {
            "data": {"name": "sp500-20", "start": start},
            "walkForward": {"purge": 1},
            "execution": {"mode": "ray"},
            "axes": {
                "profile": ["min_cvar"],
                "lookback": [126, 189, 252],
                "constraints": [{"turnoverLimit": 0.05 + (10 * each + beside) / 1000} for each in range(limits)],
            },
            "cluster": LITTLE,
            "ttlSecondsAfterFinished": 0,
            **spec,
        },
    }


@contextmanager
def laptop_run(document: dict[str, Any], folder: Path) -> Iterator[Callable[[], str]]:
    """Let this machine compute a sweep without a cluster, beside the test.

    Yields what waits for the end and returns the digest of the result.
    """
    alone = {**document, "spec": {**document["spec"], "execution": {"mode": "local"}}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(alone), encoding="utf-8")
    command = [str(PROGRAMS / "backsweep"), "run", "--no-prefect", "sweep.yaml", "--output", "run"]
    process = subprocess.Popen(command, cwd=folder, start_new_session=True)

    def digest() -> str:
        assert process.wait() == 0
        found: str = json.loads((folder / "run" / "manifest.json").read_text(encoding="utf-8"))["resultDigest"]
        return found

    try:
        yield digest
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def laptop_digest(name: str, folder: Path) -> str:
    """Compute an example on this machine, without a cluster, and return the digest of the result."""
    with laptop_run(example(name), folder) as digest:
        return digest()
