"""What the house tests read: every Python file of ours, parsed once."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("api", "operator", "pipeline", "provisioner", "tests", "examples")


@dataclass(frozen=True)
class Source:
    """One Python file: where it is below the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The dotted name it is imported by, e.g. backsweep.solve.hrp."""
        return self.path.split("/", 1)[1].removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert found
    texts = [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in found]
    return [Source(path, text, ast.parse(text)) for path, text in texts]


@pytest.fixture(scope="session")
def shipped(sources: list[Source]) -> list[Source]:
    """Those that end up in the wheel."""
    return [source for source in sources if source.path.startswith(("api/", "operator/", "pipeline/"))]
