"""A sweep on real pods to which one thing after the other happens gives the result of a laptop, and leaves nothing.

The tests of this file disturb one sweep, in their order; the last one sees how it ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.cluster.clusters import wait_until
from tests.e2e.disturbances import (
    SECONDS_TO_CLEAN,
    flow_killed,
    head_killed,
    kubelet_restarted,
    prefect_killed,
    storage_away,
    suspended_and_resumed,
    worker_and_operator_killed,
    worker_flow_and_operator_killed,
    worker_out_of_memory,
)
from tests.e2e.records import recorded
from tests.e2e.running import RunningSweep
from tests.e2e.sweeps import laptop_run, slow_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.releases import Release

pytestmark = pytest.mark.timeout(3600)  # images may have to be built, and the machine is shared


SOAK = os.environ.get("BACKSWEEP_SOAK") == "1"
# A sweep long enough to be disturbed so often; of a soak, one of more than five minutes of both cores.
DOCUMENT = slow_sweep("disturbed", "1990-01-02", 60) if SOAK else slow_sweep("disturbed", "2004-01-02", 20)
DISTURBANCES = [suspended_and_resumed, worker_flow_and_operator_killed]
if SOAK:
    DISTURBANCES = [
        suspended_and_resumed,
        worker_and_operator_killed,
        flow_killed,
        head_killed,
        prefect_killed,
        storage_away,
        worker_out_of_memory,
        kubelet_restarted,
    ]
SECONDS_TO_END = 3000.0


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Begin to compute the sweep on this machine, and give what waits for the result's digest."""
    with laptop_run(DOCUMENT, tmp_path_factory.mktemp("laptop")) as found:
        yield found


@pytest.fixture(scope="module")
def sweep(digest: Callable[[], str], release: Release) -> RunningSweep:
    release.apply(DOCUMENT)
    return RunningSweep(release, DOCUMENT["metadata"]["name"])


@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda each: each.__name__)
def test_a_sweep_that_computes_is(disturb: Callable[[RunningSweep], None], sweep: RunningSweep) -> None:
    sweep.await_more()
    with recorded(sweep, disturb.__name__.replace("_", " ")):
        disturb(sweep)


def test_a_sweep_that_was_disturbed_gives_the_result_of_a_laptop(
    sweep: RunningSweep, digest: Callable[[], str]
) -> None:
    with recorded(sweep, "nothing more"):
        assert sweep.release.await_end(sweep.name, SECONDS_TO_END) == "Succeeded"
    wait_until(lambda: sweep.release.leftovers(sweep.name) == [], "nothing of it to be left", SECONDS_TO_CLEAN)
    status = sweep.status()
    assert status["manifest"]["resultDigest"] == digest()
    assert (status["run"]["attempt"], status["run"]["failures"]) == (2, 0), "resumed once, and nothing else was lost"
