"""The termination message: what each error means to the operator, and never more bytes than Kubernetes keeps."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from backsweep import errors
from backsweep.orchestration.pod_progress import PodProgress
from backsweep.orchestration.pod_report import end_outcome, report_of, write_report
from backsweep.sweep.compute import Progress
from backsweep_api.names import AttemptName
from backsweep_api.progress import progress_key, read_progress
from backsweep_api.status import ManifestReference, TrialCounts
from backsweep_operator.model import Outcome
from backsweep_operator.projections import read_report

COUNTS = TrialCounts(total=1_000_000, done=999_999, cached=5, failed=4)
PLACE = ManifestReference(uri="s3://" + "b" * 1_900, result_digest="a" * 64)
OUTCOMES = [
    (errors.SpecError("spec.axes.profile: found hpr"), Outcome.REFUSED),
    (errors.StoreError("there is no bucket"), Outcome.REFUSED),
    (errors.InvariantError("a bug gives the same each time"), Outcome.REFUSED),
    (errors.BudgetExceededError("stopped"), Outcome.OVER_BUDGET),
    (errors.WorkerLostError("a worker died"), Outcome.INCOMPLETE),
    (errors.BlockTimeoutError("no block ended"), Outcome.INCOMPLETE),
    (OSError("no space left on device"), Outcome.INCOMPLETE),
    (MemoryError(), Outcome.INCOMPLETE),
]


@pytest.mark.parametrize(("error", "outcome"), OUTCOMES, ids=[type(error).__name__ for error, _ in OUTCOMES])
def test_every_error_has_the_outcome_that_says_who_must_act(error: Exception, outcome: Outcome) -> None:
    assert Outcome(end_outcome(error)) is outcome


@settings(deadline=None)
@given(some.sampled_from(Outcome), some.text(max_size=6_000))
@example(Outcome.REFUSED, "\N{EM DASH}" * 6_000)  # six bytes each, as JSON has them
def test_the_operator_reads_what_was_written_whatever_it_says(outcome: Outcome, message: str) -> None:
    data = report_of(str(outcome), message, {"trials": COUNTS, "manifest": PLACE, "best": None})
    assert len(data) < 4_096
    report = read_report(data.decode())
    assert report is not None
    assert (report.outcome, report.trials, report.manifest, report.best) == (outcome, COUNTS, PLACE, None)
    assert message.startswith(report.message)
    assert report.message or not message


def test_a_short_message_is_whole_and_lands_where_kubernetes_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSWEEP_TERMINATION_LOG", str(tmp_path / "log"))
    write_report(report_of("refused", "spec.axes: no trial is left", {"trials": None}))
    told = json.loads((tmp_path / "log").read_text())
    assert told == {"outcome": "refused", "message": "spec.axes: no trial is left"}


def test_the_cluster_is_needed_until_the_trials_are_compared_and_every_step_is_a_sign_of_life() -> None:
    attempt = AttemptName.of(("team", "s", "0b7c"), "ab" * 32, 3)
    progress = PodProgress(attempt)
    seen = [progress.end_stage("plan"), progress.observe(Progress(3, 9, 1, 2)), progress.end_stage("compare")]
    assert {each.key for each in seen} == {progress_key(attempt)}
    told = [read_progress(each.data) for each in seen]
    assert [each.cluster_needed for each in told if each] == [True, True, False]
    assert [each.trials.done for each in told if each] == [0, 3, 3]
    assert all(each and each.last_block_at for each in told)
    assert progress.counts == TrialCounts(total=9, done=3, cached=1, failed=2)


def test_what_a_cluster_computed_is_found_in_the_store_and_was_not_cached() -> None:
    progress = PodProgress(AttemptName.of(("team", "s", "0b7c"), "ab" * 32, 3))
    planned: Any = SimpleNamespace(most_trials=9, serial_tasks=7, place=SimpleNamespace(is_ray=True))
    progress.plan(planned)
    assert progress.counts == TrialCounts(total=9, done=2, cached=2)
    progress.note(Progress(9, 9, 9, 0))
    assert progress.counts == TrialCounts(total=9, done=9, cached=2)
