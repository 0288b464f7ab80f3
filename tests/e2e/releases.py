"""Both charts in a cluster, by Helm, and a namespace whose sweeps they serve; commands run where the cluster is."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tests.cluster import binaries
from tests.cluster.clusters import wait_until
from tests.cluster.node.node import Node
from tests.cluster.node.storage import BUCKET, storage_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.cluster.clusters import Cluster, Object

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
AUTH_SECRET, KEYS_SECRET = "backsweep-prefect-auth", "results-keys"
PARTS = ("prefect", "operator", "worker")
SECONDS_TO_INSTALL = 600.0
SECONDS_TO_RUN = 900.0
# Progress is seen when it is made, so that what disturbs a sweep can wait for it.
OFTEN = {"pollSeconds": 2, "statusSeconds": 2}
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True)
class Release:
    """A release in the namespace `own`, which serves the namespace `team`; results go to a bucket's folder of its own.

    `images` gives the reference of an image by its name.
    """

    cluster: Cluster
    images: Callable[[str], str]
    own: str
    team: str

    def storage(self) -> dict[str, str]:
        """Return what a client of S3 takes from its environment: the node's, or ours for a cluster of somebody's."""
        if isinstance(self.cluster, Node):
            return storage_environment(self.cluster.folder)
        return {key: value for key, value in os.environ.items() if key.startswith("AWS_")}

    def store(self, folder: str = "") -> dict[str, str]:
        """Say where results go: into the bucket's folder of this release, or into one below it."""
        storage = self.storage()
        return {
            "uri": f"s3://{os.environ.get('BACKSWEEP_TEST_BUCKET', BUCKET)}/{self.team}{folder}",
            "endpointUrl": storage.get("AWS_ENDPOINT_URL_S3", ""),
            "region": storage["AWS_DEFAULT_REGION"],
        }

    @property
    def values_file(self) -> Path:
        """Where `values` are written down for Helm."""
        return self.cluster.folder / f"{self.own}.values.yaml"

    def values(self) -> dict[str, Any]:
        """Return what is said to the chart: images, the store, and little enough for a node of two cores."""
        little = {"resources": {"requests": {"cpu": "50m"}}}
        return {
            "watchNamespaces": [self.team],
            "images": {
                "operator": self.images("operator"),
                "sweep": self.images("pipeline"),
                "prefectServer": self.images("prefect"),
                "prefectWorker": self.images("prefect"),
            },
            "operator": little,
            "prefect": {"server": little, "worker": {**little, "querySeconds": 2}},
            "sweeps": {**OFTEN, "storage": {**self.store(), "secretName": KEYS_SECRET}},
        }

    def install(self) -> None:
        """Do what docs/install.md says: namespaces, secrets, charts; and wait until all of it is ready."""
        for namespace in (self.own, self.team):
            self.cluster.make_namespace(namespace, RESTRICTED)
        auth = {"auth-string": f"backsweep:{secrets.token_hex(20)}"}
        keys = {key: value for key, value in self.storage().items() if key in KEYS}
        self.cluster.apply(
            *(secret(AUTH_SECRET, namespace, auth) for namespace in (self.own, self.team)),
            secret(KEYS_SECRET, self.team, keys),
        )
        self.helm("upgrade", "--install", "backsweep-crds", str(ROOT / "charts/backsweep-crds"), namespace="default")
        self.bring()

    def bring(self, *arguments: str) -> None:
        """Install or upgrade the chart, and wait until what it describes runs."""
        self.values_file.write_text(yaml.safe_dump(self.values()), encoding="utf-8")
        chart = (str(ROOT / "charts/backsweep"), f"--values={self.values_file}")
        self.helm("upgrade", "--install", "backsweep", *chart, *arguments)
        self.await_parts()

    def await_parts(self) -> None:
        for part in PARTS:
            wait_until(partial(self.is_rolled_out, part), f"{part} to be ready", SECONDS_TO_INSTALL)

    def is_rolled_out(self, part: str) -> bool:
        """Say whether the pods of today's template run, and none of an earlier one."""
        found = self.cluster.get("deployment", f"backsweep-{part}", self.own)
        status, wanted = found["status"], found["spec"]["replicas"]
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3

    def pods(self, part: str) -> list[Object]:
        """Return the pods of a part of the release."""
        return self.cluster.all("pods", self.own, f"app.kubernetes.io/component={part}")

    def helm(self, *arguments: str, namespace: str = "") -> str:
        return self.run(str(binaries.find("helm")), *arguments, f"--namespace={namespace or self.own}")

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a command where the cluster can be reached, with kubectl and our programs on the path.

        Raises
        ------
        subprocess.CalledProcessError
            If it fails; what it said is shown.
        """
        path = f"{PROGRAMS}:{binaries.find('kubectl').parent}:/usr/bin:/bin"
        given = {"HOME": str(self.cluster.folder), "PATH": path, "KUBECONFIG": str(self.cluster.kubeconfig)}
        done = subprocess.run(
            [*self.cluster.entering, *command],
            env={**given, **(environment or {})},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
        return done.stdout

    def apply(self, document: Mapping[str, Any]) -> None:
        """Apply a sweep in the team's namespace, as a person does."""
        text = json.dumps(document)
        self.cluster.kubectl("apply", f"--namespace={self.team}", "-f", "-", stdin=text)

    def sweep(self, name: str) -> Object:
        return self.cluster.get("backtestsweep", name, self.team)

    def await_end(self, name: str, seconds: float = SECONDS_TO_RUN) -> str:
        """Wait until a sweep has ended, and return the reason."""
        wait_until(
            lambda: "True" in (condition(self.sweep(name), each).get("status") for each in ("Complete", "Failed")),
            f"sweep {name} to end",
            seconds,
        )
        return str(condition(self.sweep(name), "Complete")["reason"])

    def leftovers(self, name: str) -> list[str]:
        """Name what is there for a sweep, besides the sweep."""
        kinds = "rayclusters,jobs,pods,services,networkpolicies,secrets,serviceaccounts,configmaps"
        said = self.cluster.kubectl("get", kinds, f"--namespace={self.team}", "--output=name")
        return [each for each in said.split() if f"/{name}-" in each]

    def uninstall(self) -> None:
        """Do what docs/install.md says: sweeps, then the chart. The definition of a sweep stays."""
        self.cluster.kubectl("delete", "backtestsweeps", "--all", f"--namespace={self.team}")
        self.helm("uninstall", "backsweep", "--wait")


def secret(name: str, namespace: str, values: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": dict(values),
    }


def condition(sweep: Object, name: str) -> Object:
    """Return a condition of a sweep; an empty one where there is none yet."""
    found = (each for each in sweep.get("status", {}).get("conditions", ()) if each["type"] == name)
    return next(found, {})
