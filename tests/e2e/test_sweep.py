"""The whole path with real pods: a release is installed, sweeps are computed on clusters of their own, all of it goes.

The tests of this file use the session's release, in their order; the last one removes it, so that no file that uses
it may have a name after this one's.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.cluster.clusters import wait_until
from tests.e2e import readme
from tests.e2e.releases import KEYS_SECRET, condition
from tests.e2e.sweeps import LITTLE, example, laptop_digest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.releases import Release

pytestmark = pytest.mark.timeout(1800)  # images may have to be built, and the machine is shared

SECONDS_TO_CLEAN = 30.0
FETCH = "import boto3, sys; boto3.client('s3').download_file(*sys.argv[1:])"
UI = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:4200/').read().decode())"


def test_a_small_sweep_is_computed_on_a_cluster_that_is_gone_when_it_is_done(release: Release, tmp_path: Path) -> None:
    one = {**LITTLE, "workers": {"min": 1, "max": 1, "cpu": "400m"}}
    release.apply(example("small", execution={"mode": "ray"}, cluster=one, ttlSecondsAfterFinished=0))
    assert release.await_end("small") == "Succeeded"
    wait_until(lambda: release.leftovers("small") == [], "everything of the sweep to be gone", SECONDS_TO_CLEAN)
    assert release.sweep("small")["status"]["manifest"]["resultDigest"] == laptop_digest("small", tmp_path)


def test_the_log_of_a_sweep_whose_pods_are_gone_is_read_from_the_store(release: Release) -> None:
    status = release.sweep("small")["status"]
    said = release.run(
        "kubectl", "backtest", "logs", "small", f"--namespace={release.team}", environment=release.storage()
    )
    assert said.startswith("attempt 1 of small has no flow pod; the newest log in its store:\n")
    assert f"result {status['manifest']['resultDigest']}" in said
    log = release.run("backsweep", "logs", status["links"]["logs"], environment=release.storage())
    assert said.endswith(log)


def test_the_tournament_gives_the_result_of_a_laptop(release: Release, tmp_path: Path) -> None:
    release.apply(example("sp500-tournament", cluster=LITTLE))
    assert release.await_end("sp500-tournament") == "Succeeded"
    wait_until(
        lambda: not any(each.startswith("raycluster") for each in release.leftovers("sp500-tournament")),
        "the RayCluster to be gone",
        SECONDS_TO_CLEAN,
    )
    status = release.sweep("sp500-tournament")["status"]
    assert status["trials"] == {"total": 1000, "done": 1000, "cached": 0, "failed": 0}
    assert status["manifest"]["resultDigest"] == laptop_digest("sp500-tournament", tmp_path)


def test_results_and_logs_are_read_by_kubectl_after_the_cluster_is_gone(release: Release) -> None:
    status = release.sweep("sp500-tournament")["status"]
    said = release.run("kubectl", "backtest", "results", "sp500-tournament", f"--namespace={release.team}")
    assert status["manifest"]["resultDigest"] in said
    assert status["best"]["trial"] in said
    logs = release.run("kubectl", "backtest", "logs", "sp500-tournament", f"--namespace={release.team}")
    assert "Finished in state Completed" in logs


def test_a_result_is_verified_from_outside(release: Release, tmp_path: Path) -> None:
    manifest = release.sweep("sp500-tournament")["status"]["manifest"]
    bucket, _, key = manifest["uri"].removeprefix("s3://").partition("/")
    place = tmp_path / "manifest.json"
    release.run(sys.executable, "-c", FETCH, bucket, key, str(place), environment=release.storage())
    said = release.run("backsweep", "verify", str(place), environment=release.storage())
    assert manifest["resultDigest"] in said


def test_the_commands_of_the_readme_work_and_print_what_it_says(release: Release) -> None:
    """They are run again on what the tests before have installed and computed: the digest is README's own."""
    manifest = release.sweep("sp500-tournament")["status"]["manifest"]
    said = [(each, readme.run_here(release, each.command, manifest["uri"])) for each in readme.shown()]
    assert {each.command: missing for each, text in said if (missing := each.missing(text))} == {}
    assert manifest["resultDigest"] in readme.section()


def test_no_key_is_in_what_the_cluster_shows(release: Release) -> None:
    shown = release.cluster.kubectl("get", "backtestsweeps,pods,jobs", f"--namespace={release.team}", "--output=json")
    shown += release.run("kubectl", "backtest", "logs", "sp500-tournament", f"--namespace={release.team}")
    assert KEYS_SECRET in shown
    assert [key for key, value in release.storage().items() if "KEY" in key and value in shown] == []


def test_prefect_serves_its_pages(release: Release) -> None:
    said = release.cluster.kubectl(
        "exec", "deployment/backsweep-prefect", f"--namespace={release.own}", "--", "python", "-c", UI
    )
    assert "<title>Prefect" in said


def test_an_upgrade_and_its_rollback_leave_finished_sweeps_alone(release: Release) -> None:
    before = release.sweep("sp500-tournament")["status"]["run"]
    release.bring("--set=sweeps.pollSeconds=7", "--set=operator.logLevel=debug")
    assert "BACKSWEEP_POLL_SECONDS=7" in operator_environment(release)
    release.helm("rollback", "backsweep", "1", "--wait")
    release.await_parts()
    assert "BACKSWEEP_POLL_SECONDS=2" in operator_environment(release)
    sweep = release.sweep("sp500-tournament")
    assert (sweep["status"]["run"], condition(sweep, "Complete")["reason"]) == (before, "Succeeded")


def operator_environment(release: Release) -> list[str]:
    where = ("deployment/backsweep-operator", f"--namespace={release.own}")
    return release.cluster.kubectl("exec", *where, "--", "env").split()


def test_a_removed_release_leaves_what_docs_install_says_and_nothing_else(release: Release) -> None:
    release.uninstall()
    kinds = release.run("kubectl", "api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    passing = {"events", "events.events.k8s.io", "pods", "endpointslices.discovery.k8s.io", "endpoints"}
    asked = ",".join(sorted(set(kinds) - passing))
    ours = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    made = {"secret/backsweep-prefect-auth", f"secret/{KEYS_SECRET}"}

    def left(namespace: str) -> set[str]:
        said = release.cluster.kubectl("get", asked, f"--namespace={namespace}", "--output=name").split()
        return {each for each in said if "helm.release" not in each} - ours - made

    def pods() -> list[str]:
        return [
            p["metadata"]["name"] for each in (release.own, release.team) for p in release.cluster.all("pods", each)
        ]

    wait_until(lambda: pods() == [], "the pods to be gone", 120)
    assert left(release.team) == set()
    assert left(release.own) == {
        "persistentvolumeclaim/backsweep-prefect",
        "lease.coordination.k8s.io/backsweep-operator",
    }
    selector = "--selector=app.kubernetes.io/part-of=backsweep"
    roles = release.run("kubectl", "get", "clusterroles,clusterrolebindings", selector, "--output=name")
    assert [each for each in roles.split() if release.own in each] == []
