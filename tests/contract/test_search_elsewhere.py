"""A search whose rounds are computed by a Ray elsewhere: a job a round, and the same result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.contract.ray_head import ray_head

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: elsewhere}
spec:
  data: {name: sp500-20, start: "2010-01-04", end: "2013-12-31"}
  axes:
    profile: [min_variance, hrp]
    lookback: {low: 63, high: 252}
    linkage: [single, ward]
  sampling: {method: search, count: 4, rounds: 2, seed: 3}
"""


def run(folder: Path, *sets: str, **variables: str) -> dict[str, Any]:
    folder.mkdir()
    (folder / "sweep.yaml").write_text(DOCUMENT)
    command = [sys.executable, "-m", "backsweep", "run", "sweep.yaml", "--json"]
    command += [part for each in sets for part in ("--set", each)]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def test_a_ray_elsewhere_computes_round_after_round(tmp_path: Path) -> None:
    here = run(tmp_path / "here")
    (tmp_path / "home").mkdir()
    with ray_head(tmp_path / "home") as head:
        existing = f"cluster={{existing: {{address: '{head.address}'}}}}"
        there = run(tmp_path / "there", existing, "execution.mode=ray", RAY_AUTH_TOKEN=head.token)
    assert there["where"]["kind"] == "cluster"
    assert there["computed"]["simulations"] == here["computed"]["simulations"] == 8
    assert there["resultDigest"] == here["resultDigest"]
