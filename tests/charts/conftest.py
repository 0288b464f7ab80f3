"""Helm, where it is."""

from __future__ import annotations

import pytest
from tests.charts.rendering import CASES, Helm, Object, parsed
from tests.cluster import binaries


@pytest.fixture(scope="session")
def helm() -> Helm:
    try:
        return Helm(binaries.find("helm"))
    except binaries.MissingBinaryError as error:
        pytest.skip(f"no helm: {error}")


@pytest.fixture(scope="session")
def renderings(helm: Helm) -> dict[str, list[Object]]:
    """Return the objects of every file of values, by its name."""
    return {case: list(parsed(helm.case(case))) for case in CASES}
