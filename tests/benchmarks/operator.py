"""The operator at 1,000 sweeps, against a real API server: how fast, at whose cost, and what it needs at rest.

Once with Prefect played by a stand-in and without KubeRay, so that the operator and the API server are alone; once with
a real Prefect server and real KubeRay, whose clusters come up on simulated nodes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.operator_bare import pattern_of, repeat_calls
from tests.benchmarks.operator_costs import Meter, resident_mib
from tests.benchmarks.operator_load import Door, apply_all, apply_in_turn, opened, watching
from tests.benchmarks.operator_scene import NAMESPACE, Scene, real_prefect, scene, stand_in
from tests.benchmarks.operator_tables import Alone, Burst, Spent, Together, tell
from tests.benchmarks.operator_worker import start_flows
from tests.cluster.control_plane import wait_until
from tests.cluster.processes import Ports

BARE = "bare"
REST_SECONDS = 60.0
LONGEST_SECONDS = 900.0


async def measure_alone(here: Scene, sweeps: int, in_turn: int) -> Alone:
    """Measure the operator and the API server alone: at low load, all at once, and the same calls without it."""
    async with opened(here.plane.kubeconfig) as door:
        await asyncio.to_thread(here.serve)
        low_load = await apply_in_turn(door, NAMESPACE, names_of("turn", in_turn))
        await asyncio.to_thread(here.rest)
        applied, burst = await measure_burst(here, door, sweeps)
        pattern = await pattern_of(door, NAMESPACE, names_of("burst", 1)[0])
        here.operator.process.kill()
        here.plane.make_namespace(BARE)
        names = names_of("bare", sweeps // 3)
        await apply_all(door, BARE, names)
        meter = Meter(here.processes)
        await repeat_calls(
            door, pattern, BARE, names, {call: round(n) for call, n in burst.calls["Kubernetes"].items()}
        )
        return Alone(low_load, applied, burst, Spent(len(names), *meter.read()))


async def measure_together(here: Scene, sweeps: int) -> Together:
    """Measure with Prefect and KubeRay: all at once, until all clusters are ready, and while all of them run."""
    async with opened(here.plane.kubeconfig) as door:
        _, burst = await measure_burst(here, door, sweeps)
        ready = "backsweep_time_to_cluster_seconds_count"
        await until(lambda: here.operator.count(ready) >= sweeps, "all RayClusters to be ready")
        ready_seconds = burst.meter.read()[0]
        await start_flows(door, here.prefect)
        await until(lambda: here.sweeps("Running") == sweeps, "all sweeps to run")
        await until(here.settled, "an operator that writes nothing")
        meter = Meter(here.processes)
        await asyncio.sleep(REST_SECONDS)
        rest = Spent(sweeps, *meter.read())
        return Together(burst, ready_seconds, resident_mib(here.operator.process.pid), rest)


async def measure_burst(here: Scene, door: Door, sweeps: int) -> tuple[Spent, Burst]:
    """Apply all sweeps while no operator runs, then start it, and wait until each has its RayCluster."""
    names = names_of("burst", sweeps)
    meter = Meter(here.processes)
    await apply_all(door, NAMESPACE, names)
    applied = Spent(sweeps, *meter.read())
    async with watching(door, NAMESPACE) as arrivals:
        await asyncio.to_thread(here.serve)
        meter = Meter(here.processes)
        await arrivals.until(lambda: len(arrivals.clusters) == sweeps)
        spent = Spent(sweeps, *meter.read())
    return applied, Burst(spent, here.calls(sweeps), os.getloadavg()[0], meter)


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something in the cluster, while connections are kept."""
    await asyncio.to_thread(wait_until, holds, what, LONGEST_SECONDS)


def names_of(kind: str, count: int) -> list[str]:
    """Return the names of sweeps."""
    return [f"{kind}-{number:04}" for number in range(count)]


def main() -> None:
    """Measure both ways, one after the other, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--in-turn", type=int, default=100)
    options = parser.parse_args()
    ports = Ports()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            with stand_in(folder, ports) as prefect, scene(folder / "alone", prefect, ports) as here:
                alone = asyncio.run(measure_alone(here, options.sweeps, options.in_turn))
            with real_prefect(folder) as prefect, scene(folder / "together", prefect, ports) as here:
                together = asyncio.run(measure_together(here, options.sweeps))
        finally:
            ports.release()
    tell(alone, together)


if __name__ == "__main__":
    main()
