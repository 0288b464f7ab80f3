"""Sweeps as the API server stored them under each release's definition: what a new definition has to go on taking.

`python -m tests.cluster.stored_sweeps VERSION` writes those of a release, from today's examples and definition, when it
is made. Files of earlier releases are never written again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.operators import install_definition
from tests.cluster.test_crd_admission import EXAMPLES, ROOT, STORAGE

from backsweep_api.documents import document_from_tree
from backsweep_api.identity import spec_digest
from backsweep_api.tree import read_tree

FOLDER = ROOT / "tests" / "golden" / "stored_sweeps"
KEPT = ("apiVersion", "kind", "spec")


def stored(plane: ControlPlane, tree: dict[str, Any]) -> dict[str, Any]:
    """Return what the API server would store of a sweep, without what is new with each."""
    answer = plane.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(tree))
    found = json.loads(answer)
    return {**{key: found[key] for key in KEPT}, "metadata": {"name": found["metadata"]["name"]}}


def write(version: str) -> None:
    """Write the file of a release: each example as it is stored, and its specDigest."""
    with tempfile.TemporaryDirectory() as folder, control_plane(Path(folder), nodes=1) as plane:
        install_definition(plane)
        rows = []
        for path in EXAMPLES:
            (tree,) = read_tree(path.read_text(encoding="utf-8"))
            tree["spec"]["storage"] = STORAGE
            kept = stored(plane, tree)
            rows.append({"specDigest": spec_digest(document_from_tree(kept)), "sweep": kept})
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{version}.yaml").write_text(yaml.safe_dump_all(rows, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1])
