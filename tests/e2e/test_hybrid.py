"""Operator, Prefect and flow in the cluster, the Ray elsewhere: it computes, the flow compares, nothing is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.clusters import wait_until
from tests.e2e.ray_elsewhere import JOBS, RayElsewhere, ray_elsewhere
from tests.e2e.releases import KEYS_SECRET, condition, secret
from tests.e2e.sweeps import example, laptop_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.node.node import Node
    from tests.e2e.releases import Release

pytestmark = pytest.mark.timeout(1800)  # images may have to be built, and the machine is shared

TOKEN_SECRET = "ray-elsewhere"


@pytest.fixture(scope="module")
def ray(node: Node, release: Release) -> Iterator[RayElsewhere]:
    with ray_elsewhere(node) as started:
        node.apply(secret(TOKEN_SECRET, release.team, {"auth_token": started.token}))
        yield started
    node.kubectl("delete", "secret", TOKEN_SECRET, f"--namespace={release.team}")


def hybrid(release: Release, name: str, called: str) -> dict[str, Any]:
    """Return an example that asks for the Ray elsewhere, in a store where nothing of it is yet."""
    existing = {"address": JOBS, "tokenSecretRef": {"name": TOKEN_SECRET, "key": "auth_token"}}
    storage = {**release.store("/hybrid"), "secretRef": {"name": KEYS_SECRET}}
    document = example(name, execution={"mode": "ray"}, cluster={"existing": existing}, storage=storage)
    document["metadata"]["name"] = called
    return document


def test_a_ray_elsewhere_computes_and_stays_up(release: Release, ray: RayElsewhere, tmp_path: Path) -> None:
    release.apply(hybrid(release, "small", "elsewhere"))
    assert release.await_end("elsewhere") == "Succeeded"
    sweep = release.sweep("elsewhere")
    status = sweep["status"]
    assert status["manifest"]["resultDigest"] == laptop_digest("small", tmp_path)
    assert (status["run"]["workers"], condition(sweep, "ClusterReady")["reason"]) == (0, "Elsewhere")
    assert [each for each in release.leftovers("elsewhere") if not each.startswith(("job", "pod"))] == []
    assert ray.jobs("elsewhere") == ["SUCCEEDED"]


def test_what_came_back_is_counted_and_shown(release: Release, ray: RayElsewhere) -> None:
    computed = release.sweep("elsewhere")["status"]["computed"]
    assert computed["where"] == "cluster"
    assert 0 < computed["bytesReturned"] < 9 * 2048  # nine trials: metrics and sums, no series
    said = release.run("kubectl", "backtest", "results", "elsewhere", f"--namespace={release.team}")
    assert f"{computed['bytesReturned']:,} bytes from Ray's workers" in said
    assert ray.jobs("elsewhere") == ["SUCCEEDED"], "trials are compared here"


def test_a_ray_that_is_killed_and_comes_back_computes_the_rest(
    release: Release, ray: RayElsewhere, tmp_path: Path
) -> None:
    release.apply(hybrid(release, "sp500-tournament", "interrupted"))
    wait_until(lambda: ray.jobs("interrupted") == ["RUNNING"], "the sweep to run on the Ray elsewhere", 300)
    ray.kill()
    ray.start()
    assert release.await_end("interrupted") == "Succeeded"
    status = release.sweep("interrupted")["status"]
    assert (status["run"]["attempt"], status["trials"]["done"]) == (1, 1000)
    assert status["manifest"]["resultDigest"] == laptop_digest("sp500-tournament", tmp_path)
