"""The document of a cluster on a laptop: it runs as it is, says what is not used here, and gives the same result."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import backsweep

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import Bucket

DOCUMENT: dict[str, Any] = {
    "apiVersion": "backsweep.dev/v1alpha1",
    "kind": "BacktestSweep",
    "metadata": {"name": "anywhere"},
    "spec": {
        "data": {"name": "sp500-20", "start": "2010-01-04", "end": "2012-12-31"},
        "axes": {"profile": ["equal_weight", "hrp"], "lookback": [126]},
    },
}
OF_A_CLUSTER: dict[str, Any] = {
    "cluster": {"workers": {"max": 8}, "queueName": "research"},
    "prefect": {"workPool": "sweeps"},
    "backoffLimit": 5,
    "activeDeadlineSeconds": 3_600,
    "ttlSecondsAfterFinished": 60,
}
TOLD = [
    "spec.cluster",
    "spec.storage.secretRef",
    "spec.prefect",
    "spec.backoffLimit",
    "spec.activeDeadlineSeconds",
    "spec.ttlSecondsAfterFinished",
]


def write(folder: Path, **sections: Any) -> Path:
    folder.mkdir()
    file = folder / "sweep.json"
    file.write_text(json.dumps({**DOCUMENT, "spec": {**DOCUMENT["spec"], **sections}}))
    return file


def call(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backsweep", *arguments]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def told(said: str) -> list[str]:
    """Return the fields of which notes are in what a command said."""
    return [line.split(": ")[2] for line in said.splitlines() if line.startswith("sweep.json: note: ")]


def test_a_document_with_all_that_a_cluster_wants_gives_the_digest_it_has_without(
    bucket: Bucket, tmp_path: Path
) -> None:
    storage = {"uri": bucket.uri, "endpointUrl": bucket.server.url, "secretRef": {"name": "keys"}}
    plain, full = write(tmp_path / "plain"), write(tmp_path / "full", storage=storage, **OF_A_CLUSTER)
    arguments = ("run", "sweep.json", "--json", "--no-prefect", "--baseline", "none")
    alone, whole = call(plain, *arguments), call(full, *arguments)
    assert (told(alone.stderr), told(whole.stderr)) == ([], TOLD)
    found = [json.loads(done.stdout) for done in (alone, whole)]
    assert found[0]["resultDigest"] == found[1]["resultDigest"]
    manifests = [json.loads((file.parent / "runs/anywhere/manifest.json").read_bytes()) for file in (plain, full)]
    assert manifests[0]["result"] == manifests[1]["result"]


@pytest.mark.parametrize("command", [("plan", "--json"), ("validate",), ("validate", "--target", "local")])
def test_what_only_looks_at_a_document_tells_the_same(command: tuple[str, ...], tmp_path: Path) -> None:
    file = write(tmp_path / "looked", **OF_A_CLUSTER)
    assert told(call(file, *command, "sweep.json").stderr) == [name for name in TOLD if "storage" not in name]


def test_a_cluster_is_told_of_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "applied", **OF_A_CLUSTER)
    assert call(file, "validate", "sweep.json", "--target", "cluster").stderr == ""


def test_a_notebook_is_warned(tmp_path: Path) -> None:
    file = write(tmp_path / "notebook", backoffLimit=5, storage={"uri": f"file://{tmp_path}/store"})
    with pytest.warns(UserWarning, match=r": note: spec\.backoffLimit: not used on this machine") as warned:
        backsweep.run(file, output=tmp_path / "run")
    assert [warning.filename for warning in warned] == [__file__]
