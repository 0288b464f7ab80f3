"""The documents that are applied to a cluster, and what a laptop makes of them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import yaml
from tests.e2e.releases import PROGRAMS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

LITTLE = {"head": {"cpu": "300m"}, "workers": {"min": 2, "max": 2, "cpu": "400m"}}


def example(name: str, **spec: Any) -> dict[str, Any]:
    """Read a document of examples/ and say more in its spec."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text(encoding="utf-8"))
    document["spec"] |= spec
    return document


def laptop_digest(name: str, folder: Path) -> str:
    """Compute an example on this machine, without a cluster, and return the digest of the result."""
    text = yaml.safe_dump(example(name, execution={"mode": "local"}))
    (folder / "sweep.yaml").write_text(text, encoding="utf-8")
    command = [str(PROGRAMS / "backsweep"), "run", "--no-prefect", "sweep.yaml", "--output", "run"]
    subprocess.run(command, cwd=folder, check=True)
    found: str = json.loads((folder / "run" / "manifest.json").read_text(encoding="utf-8"))["resultDigest"]
    return found
