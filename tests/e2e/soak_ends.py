"""Sweeps on real pods that come to an end by a limit, a mistake or a change, with a reason and nothing left behind.

`make test-soak` runs these; `pytest tests/e2e` does not collect them by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.clusters import RefusedError, wait_until
from tests.e2e.disturbances import SECONDS_TO_CLEAN
from tests.e2e.records import recorded
from tests.e2e.running import RunningSweep, state
from tests.e2e.sweeps import LITTLE, laptop_run, slow_sweep

from backsweep_api.conditions import State, StopReason

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.releases import Release

pytestmark = pytest.mark.timeout(1800)

BRIEF = 60  # the deadline of what cannot start, in seconds
LARGE = {"head": {"cpu": "300m"}, "workers": {"min": 1, "max": 1, "cpu": "64"}}
ONE = {**LITTLE, "workers": {"min": 1, "max": 1, "cpu": "400m"}}
HALF = {"head": {"cpu": "150m"}, "workers": {"min": 1, "max": 1, "cpu": "150m"}}  # two of them fit, with their flows


@dataclass(frozen=True)
class End:
    """What is asked for, and what the sweep then says: why it failed, and some words of the sentence.

    `beside` keeps it from finding what another has computed.
    """

    beside: int
    spec: dict[str, Any]
    reason: StopReason
    words: tuple[str, ...]


ENDS = {
    "image-that-cannot-be-pulled": End(
        1,
        {"cluster": {**ONE, "image": "localhost/no-such-image:1"}, "activeDeadlineSeconds": BRIEF},
        StopReason.DEADLINE_EXCEEDED,
        ("does not start: ", "ImagePull", "no-such-image"),
    ),
    "pods-that-cannot-be-scheduled": End(
        2,
        {"cluster": LARGE, "activeDeadlineSeconds": BRIEF},
        StopReason.DEADLINE_EXCEEDED,
        ("does not start: Unschedulable", "Insufficient cpu"),
    ),
    "deadline": End(
        3,
        {"cluster": ONE, "activeDeadlineSeconds": 150},
        StopReason.DEADLINE_EXCEEDED,
        ("spec.activeDeadlineSeconds, 150 s, is over; what is finished is stored",),
    ),
    "budget": End(
        4,
        {
            "cluster": ONE,
            "pricing": {"cpuHour": "1", "memoryGiBHour": "0"},
            # Head, worker and flow pod ask for 1.2 cores: this buys eight minutes, of which five stay in reserve.
            "budget": {"maxCost": "0.16"},
        },
        StopReason.BUDGET_EXCEEDED,
        ("budget.maxCost",),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_sweep_fails_with_its_reason(name: str, release: Release) -> None:
    end = ENDS[name]
    release.apply(slow_sweep(name, "1990-01-02", 32, end.beside, **end.spec))
    sweep = RunningSweep(release, name)
    with recorded(sweep, name):
        assert release.await_end(name) == State.FAILED
    stop = sweep.status()["run"]["stop"]
    assert stop["reason"] == end.reason
    assert [each for each in end.words if each not in stop["message"]] == []
    see_nothing_left(sweep)


def see_nothing_left(sweep: RunningSweep) -> None:
    wait_until(lambda: sweep.release.leftovers(sweep.name) == [], "nothing of it to be left", SECONDS_TO_CLEAN)


def test_a_sweep_that_is_deleted_while_it_computes_leaves_nothing(release: Release) -> None:
    release.apply(slow_sweep("deleted", "1990-01-02", 32, 5, cluster=ONE))
    sweep = RunningSweep(release, "deleted")
    sweep.await_more()
    with recorded(sweep, "deleted mid-run"):
        release.cluster.kubectl("delete", "backtestsweep", "deleted", f"--namespace={release.team}")
        see_nothing_left(sweep)
    with pytest.raises(RefusedError, match="NotFound"):
        release.sweep("deleted")


def test_a_sweep_whose_question_changes_while_it_computes_answers_the_new_one(release: Release, tmp_path: Path) -> None:
    asked = slow_sweep("changed", "2012-01-03", 24, 7)
    release.apply(asked)
    sweep = RunningSweep(release, "changed")
    sweep.await_more()
    asked["spec"]["axes"]["lookback"] = [126]
    with laptop_run(asked, tmp_path) as digest, recorded(sweep, "spec changed mid-run"):
        release.apply(asked)
        sweep.until(lambda now: now["run"]["attempt"] == 2, "another attempt")
        assert release.await_end("changed") == State.SUCCEEDED
        assert sweep.status()["manifest"]["resultDigest"] == digest()
    see_nothing_left(sweep)


def test_two_sweeps_at_once_that_share_units_give_both_their_results(release: Release, tmp_path: Path) -> None:
    pair = [slow_sweep(name, "2012-01-03", limits, 8, cluster=HALF) for name, limits in (("one", 12), ("two", 16))]
    for each in pair:
        release.apply(each)
    sweeps = [RunningSweep(release, each["metadata"]["name"]) for each in pair]
    with recorded(sweeps[1], "two sweeps at once that share units"):
        for each, sweep in zip(pair, sweeps, strict=True):
            assert release.await_end(sweep.name) == State.SUCCEEDED
            folder = tmp_path / sweep.name
            folder.mkdir()
            with laptop_run(each, folder) as digest:
                assert sweep.status()["manifest"]["resultDigest"] == digest()
    for sweep in sweeps:
        see_nothing_left(sweep)


def test_a_cluster_on_which_nothing_moves_is_given_up(release: Release) -> None:
    """A block that takes longer than the idle time-out: the attempt ends, and the next one, as often as is allowed."""
    idle = {"cluster": {**ONE, "idleTimeoutSeconds": 10}, "backoffLimit": 1}
    document = slow_sweep("idle", "1990-01-02", 32, 6, **idle)
    document["spec"]["execution"] |= {"blockTimeoutSeconds": 10}
    release.apply(document)
    sweep = RunningSweep(release, "idle")
    with recorded(sweep, "idle cluster"):
        wait_until(lambda: state(sweep.status()) == State.FAILED, "the sweep to be given up", 600, 1.0)
    assert sweep.status()["run"]["stop"]["reason"] == StopReason.BACKOFF_LIMIT_EXCEEDED
    see_nothing_left(sweep)
