"""A new definition is tried on what earlier releases have stored, before it is released."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import install_definition
from tests.cluster.stored_sweeps import FOLDER, stored

from backsweep_api.documents import document_from_tree
from backsweep_api.identity import spec_digest

ROWS: list[tuple[str, dict[str, Any]]] = [
    (path.stem, row) for path in sorted(FOLDER.glob("*.yaml")) for row in yaml.safe_load_all(path.read_text("utf-8"))
]


@pytest.mark.parametrize(
    "row", [row for _, row in ROWS], ids=[f"{version}-{row['sweep']['metadata']['name']}" for version, row in ROWS]
)
def test_what_a_release_stored_is_taken_and_means_the_same(
    plane: ControlPlane, namespace: str, row: dict[str, Any]
) -> None:
    install_definition(plane)
    assert spec_digest(document_from_tree(stored(plane, row["sweep"]))) == row["specDigest"]
    name = row["sweep"]["metadata"]["name"]
    plane.apply(row["sweep"] | {"metadata": {"name": name, "namespace": namespace}})
    patch = ("patch", "backtestsweep", name, f"--namespace={namespace}", "--type=merge", '-p={"spec":{"suspend":true}}')
    plane.kubectl(*patch)
    changed = plane.get("backtestsweep", name, namespace)
    assert spec_digest(document_from_tree(changed)) == row["specDigest"], "suspending begins nothing anew"
