"""A release is upgraded while its sweeps run: they go on with what they have; what begins later is the new one's.

Nothing was released yet. The previous version is therefore today's charts under a lower number, with one default
changed and a definition that knows fewer rules.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from tests.charts.rendering import ROOT, Helm, parsed, variables_of
from tests.cluster import binaries
from tests.cluster.chains import Chain, connections
from tests.cluster.control_plane import ControlPlane, wait_until
from tests.cluster.operators import Operator, operator, start
from tests.cluster.prefect_server import PrefectServer
from tests.cluster.prefect_worker import PrefectWorker
from tests.cluster.processes import Ports

from backsweep_api.conditions import State
from backsweep_operator.model import Outcome

PREVIOUS = "0.0.9"
CHARTS = ("backsweep-crds", "backsweep")
DONE = Outcome.SUCCEEDED


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """Make the charts of the previous version, and return their folder."""
    for name in CHARTS:
        shutil.copytree(ROOT / "charts" / name, tmp_path / name)
        about = tmp_path / name / "Chart.yaml"
        about.write_text(
            yaml.safe_dump(yaml.safe_load(about.read_text()) | {"version": PREVIOUS, "appVersion": PREVIOUS})
        )
    values = tmp_path / "backsweep" / "values.yaml"
    values.write_text(values.read_text().replace("maxConcurrent: 20", "maxConcurrent: 10"))
    path = tmp_path / "backsweep-crds" / "templates" / "backsweep.dev_backtestsweeps.yaml"
    definition = yaml.safe_load(path.read_text())
    (version,) = definition["spec"]["versions"]
    del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"]
    path.write_text(yaml.safe_dump(definition))
    return tmp_path


@dataclass(frozen=True)
class Release:
    """Both charts in a namespace, by Helm; and the operator they describe as a process, since no container runs."""

    plane: ControlPlane
    prefect: PrefectServer
    namespace: str
    ports: Ports

    @property
    def own(self) -> str:
        return f"{self.namespace}-release"

    def bring(self, charts: Path) -> Operator:
        """Install or upgrade the charts of a folder, and return the operator of that version."""
        helm = Helm(binaries.find("helm"))
        where = (f"--namespace={self.own}", f"--kubeconfig={self.plane.kubeconfig}")
        for name in CHARTS:
            given = {
                "backsweep-crds": ("--take-ownership",),  # other tests have installed the definition by kubectl
                "backsweep": (
                    f"--set=watchNamespaces={{{self.namespace}}}",
                    f"--set=prefect.workPool={self.namespace}",
                ),
            }
            helm.run("upgrade", "--install", name, str(charts / name), *where, *given[name])
        variables = variables_of(list(parsed(helm.run("get", "manifest", "backsweep", *where))))
        variables |= {**connections(self.prefect), "BACKSWEEP_POLL_SECONDS": "1"}
        return operator(self.plane, self.namespace, self.own, (self.ports.claim(), 0), **variables)


@pytest.fixture
def release(plane: ControlPlane, prefect_server: PrefectServer, namespace: str, ports: Ports) -> Iterator[Release]:
    found = Release(plane, prefect_server, namespace, ports)
    plane.make_namespace(found.own)
    yield found
    plane.kubectl("delete", "namespace", found.own, "--wait=false")


def test_sweeps_outlive_an_upgrade_of_their_release(release: Release, previous: Path) -> None:
    old = release.bring(previous)
    worker = PrefectWorker(release.plane, release.prefect, release.namespace, release.namespace)
    worker.start()
    chain = Chain(release.plane, release.prefect, release.namespace, old, worker)
    processes = [old.process]
    try:
        start(old)
        chain.apply("over", ends=[DONE])
        chain.apply("rests", suspend=True)
        chain.apply("runs")
        chain.reaches("over", State.SUCCEEDED)
        chain.reaches("rests", State.SUSPENDED)
        chain.reaches("runs", State.RUNNING)
        before = {name: chain.plane.get("backtestsweep", name, chain.namespace) for name in ("over", "rests", "runs")}
        made = {each["metadata"]["uid"] for each in chain.made("runs")}

        new = release.bring(ROOT / "charts")
        processes.append(new.process)
        start(new)
        wait_until(lambda: new.ask("/readyz")[0] == 200, "the new operator to stand by")
        assert old.process.stop() == 0
        wait_until(new.leads, "the new operator to lead", 10)

        chain = replace(chain, operator=new)
        chain.apply("fresh")
        chain.reaches("fresh", State.RUNNING)
        assert image(chain, "runs") == f"backsweep-pipeline:{PREVIOUS}" != image(chain, "fresh")
        for name in ("over", "rests"):
            after = chain.plane.get("backtestsweep", name, chain.namespace)
            assert after == before[name], "a sweep at rest is not written to"
        assert {each["metadata"]["uid"] for each in chain.made("runs")} == made
        chain.worker.ends |= {"runs": [DONE], "fresh": [DONE]}
        chain.reaches("runs", State.SUCCEEDED, attempt=1)
        chain.reaches("fresh", State.SUCCEEDED, attempt=1)
        chain.apply("rests", ends=[DONE], suspend=False)
        chain.reaches("rests", State.SUCCEEDED)
    finally:
        for each in processes:
            each.kill()


def image(chain: Chain, name: str) -> str:
    """Return the image of a sweep's Ray pods."""
    (cluster,) = chain.made(name, "rayclusters")
    found: str = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
    return found
