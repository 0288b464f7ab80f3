"""The verdict's sentences: what they say, what they count, and what they admit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from backsweep.aggregate.deflated_sharpe import Deflation
from backsweep.aggregate.overfitting import Overfitting
from backsweep.aggregate.superior_ability import SuperiorAbility
from backsweep.aggregate.verdict import DataNotes, Evidence, Holdout, ProcedureResult, Winner, verdict

NAN = math.nan
WINNER = Winner("abc123", "sharpe", 1.25, 1.25, 0.99999, 0.97, 0.96, 7800, 400)
OWN = Deflation(400, 40.9, 0.9, 1e-4, 0.02, 0.03)
EVER = Deflation(1000, 100.9, 0.9, 1e-4, 0.025, 0.033)
PBO = Overfitting(0.1, 400, 12_870, 1.0, 1.1, 0.5, 0.2, 0.01, 0.02)
SPA = SuperiorAbility(3.0, 0.01, 0.02, 0.03, 398, 1000, 6.5)
PROCEDURE = ProcedureResult(1.0, 0.12, 7280, 9, "benchmark", 0.8)
HOLDOUT = Holdout(500, 0.9, 0.7)
NOTES = DataNotes(survivors=True, dividends=None, purge=0)
STRONG = Evidence(WINNER, OWN, EVER, PBO, SPA, PROCEDURE, HOLDOUT, NOTES, "benchmark", 252.0)
NOTHING = Evidence(None, None, None, None, None, None, None, NOTES, "benchmark", 252.0)


def said(evidence: Evidence, start: str) -> str:
    """Return the one sentence that begins with `start`."""
    (found,) = [sentence for sentence in verdict(evidence) if sentence.startswith(start)]
    return found


def test_the_procedure_comes_first_and_the_limits_of_the_data_last() -> None:
    starts = [sentence.split(":")[0] for sentence in verdict(STRONG)]
    assert starts == [
        "Procedure", "Winner", "DSR", "PBO", "SPA", "Holdout", "Verdict", "Survivorship", "Dividends", "Purge",
    ]  # fmt: skip


def test_the_numbers_of_every_test_are_in_its_sentence() -> None:
    for start, parts in {
        "Procedure": ["Sharpe ratio of 1.00", "12.0 % a year", "7,280 rows", "9 switches", "0.80"],
        "Winner": ["abc123", "400 competing", "sharpe 1.25", "31.0 years", "over 99.9 %"],
        "DSR": ["400 trials", "40.9", "0.90", "1,000 trials", "100.9", "0.40", "96.0 %", "97.0 %"],
        "PBO": ["12,870", "10.0 %", "carries over", "2.0 %"],
        "SPA": ["398 trials", "p = 0.020", "0.010", "0.030", "1,000 draws", "6.5 rows"],
        "Holdout": ["500 rows", "0.90", "0.70"],
    }.items():
        for part in parts:
            assert part in said(STRONG, start), (start, part)


def test_a_winner_that_passes_everything_is_said_to_be_unlikely_luck() -> None:
    assert "all tests that could be made were passed" in said(STRONG, "Verdict")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"winner": replace(WINNER, dsr_ever=0.94)}, "DSR"),
        ({"winner": replace(WINNER, psr=0.94)}, "PSR"),
        ({"overfitting": replace(PBO, probability=0.21)}, "PBO"),
        ({"superior": replace(SPA, p_consistent=0.06)}, "SPA"),
        ({"procedure": replace(PROCEDURE, sharpe=0.79)}, "procedure"),
        ({"holdout": replace(HOLDOUT, sharpe=0.6)}, "holdout"),
    ],
)
def test_each_failed_test_alone_takes_the_verdict_back(change: dict[str, object], name: str) -> None:
    found = said(replace(STRONG, **change), "Verdict")  # type: ignore[arg-type]  # one field at a time
    assert f"not passed {name}. " in found
    assert "not yet told apart from luck" in found


def test_a_winner_that_passes_nothing_is_treated_as_luck() -> None:
    weak = replace(
        STRONG,
        winner=replace(WINNER, psr=0.6, dsr=0.2, dsr_ever=0.1),
        overfitting=replace(PBO, probability=0.6),
        superior=replace(SPA, p_consistent=0.5),
        procedure=replace(PROCEDURE, sharpe=0.1),
        holdout=replace(HOLDOUT, sharpe=-0.1),
    )
    assert "treat the winner as luck" in said(weak, "Verdict")
    assert "says nothing, or the wrong thing" in said(weak, "PBO")
    assert "can be explained by luck" in said(weak, "SPA")


def test_what_could_not_be_tested_is_said_and_never_counted_as_passed() -> None:
    assert "nothing could be tested" in said(NOTHING, "Verdict")
    for start in ("Procedure: not measured", "Winner: none", "DSR: not defined", "PBO: not measured", "SPA: not"):
        said(NOTHING, start)
    undefined = replace(
        STRONG,
        winner=replace(WINNER, psr=NAN, dsr=NAN, dsr_ever=NAN),
        overfitting=replace(PBO, probability=NAN),
        superior=replace(SPA, p_consistent=NAN),
        procedure=replace(PROCEDURE, sharpe=NAN),
        holdout=None,
    )
    assert "nothing could be tested" in said(undefined, "Verdict")
    assert "nan" not in " ".join(verdict(undefined)).lower().replace("not", "")


def test_what_limits_the_data_is_admitted() -> None:
    notes = replace(STRONG, notes=DataNotes(survivors=False, dividends=False, purge=1))
    assert "leave them out" in said(notes, "Dividends")
    assert "1 row is left out" in said(notes, "Purge")
    assert not any(sentence.startswith("Survivorship") for sentence in verdict(notes))
    clean = replace(STRONG, notes=DataNotes(survivors=False, dividends=True, purge=5))
    assert "5 rows are left out" in said(clean, "Purge")
    assert not any(sentence.startswith("Dividends") for sentence in verdict(clean))
    assert "proves nothing" in said(STRONG, "Survivorship")
    assert "very close they were decided on" in said(STRONG, "Purge")


def test_a_probability_never_rounds_to_certainty() -> None:
    sure = replace(STRONG, winner=replace(WINNER, psr=1.0, dsr_ever=1e-9))
    assert "over 99.9 %" in said(sure, "Winner")
    assert "under 0.1 %" in said(sure, "DSR")
