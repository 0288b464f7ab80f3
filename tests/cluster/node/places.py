"""Where a node's files are and what it is called; all else that could collide with another node is in its enclosure."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.binaries import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[3]


def digest(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]


def node_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return this checkout's node's folder, outside of the checkout; BACKSWEEP_NODE names another."""
    if named := environment.get("BACKSWEEP_NODE"):
        return Path(named).absolute()
    return cache_folder(environment) / f"node-{digest(CHECKOUT)}"


def node_name(folder: Path) -> str:
    """Name the control groups of the node in a folder, the only thing of it that the whole machine sees."""
    return f"backsweep-{digest(folder)}"
