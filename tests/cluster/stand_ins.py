"""Operators beside a stand-in for Prefect: for what is tested of Kubernetes' side alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.cluster.control_plane import ControlPlane
from tests.cluster.operators import ROOT, Operator, operator, prepare
from tests.cluster.processes import Ports, Process


@contextmanager
def stand_in(plane: ControlPlane, ports: Ports, module: str = "prefect_stand_in") -> Iterator[int]:
    """Start a module that plays Prefect, give its port, and end it."""
    port = ports.claim()
    command = [sys.executable, "-m", f"tests.cluster.{module}", str(port)]
    process = Process(f"prefect-{port}", command, plane.folder, {"PYTHONPATH": f"{ROOT}:{ROOT / 'api'}"})
    process.start()
    try:
        yield port
    finally:
        process.kill()


@contextmanager
def operators(
    plane: ControlPlane, namespace: str, ports: Ports, prefect: int, settings: Mapping[str, str], count: int = 1
) -> Iterator[list[Operator]]:
    """Prepare a namespace, give operators for it that the test starts, and end them.

    Parameters
    ----------
    prefect : the port of Prefect.
    settings : variables of their environment.
    """
    own = prepare(plane, namespace)
    found = [operator(plane, namespace, own, (ports.claim(), prefect), **settings) for _ in range(count)]
    try:
        yield found
    finally:
        for each in found:
            each.process.kill()
        plane.kubectl("delete", "namespace", own, "--wait=false")
