"""Is the winner luck? What each test found, in plain sentences with their numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from backsweep.aggregate.deflated_sharpe import Deflation
from backsweep.aggregate.overfitting import Overfitting
from backsweep.aggregate.superior_ability import SuperiorAbility

__all__ = ["DataNotes", "Evidence", "Holdout", "ProcedureResult", "Winner", "verdict"]

SURE = 0.95
"""A probability from which a test counts as passed; its complement is the p-value of the SPA test."""

OVERFIT = 0.2
"""A probability of backtest overfitting up to which choosing by rank counts as informative."""


@dataclass(frozen=True, slots=True)
class Winner:
    """The leader: trial id, objective and its value, out-of-sample rows, Sharpe (a year), PSR, DSR.

    `dsr` counts this sweep's trials, `dsr_ever` all that were ever run on the data; both with the effective
    number of trials. `competing` is how many trials competed. NaN where a number is not defined.
    """

    trial: str
    metric: str
    value: float
    sharpe: float
    psr: float
    dsr: float
    dsr_ever: float
    rows: int
    competing: int


@dataclass(frozen=True, slots=True)
class ProcedureResult:
    """The procedure's own series: Sharpe and CAGR a year, rows, and how often it changed its trial.

    `yardstick` names what it is compared with (the benchmark profile) over the same rows.
    """

    sharpe: float
    cagr: float
    rows: int
    switches: int
    yardstick: str
    yardstick_sharpe: float


@dataclass(frozen=True, slots=True)
class Holdout:
    """The winner on rows that never ranked: how many, its Sharpe there (a year), and the yardstick's."""

    rows: int
    sharpe: float
    yardstick_sharpe: float


@dataclass(frozen=True, slots=True)
class DataNotes:
    """What limits every number of the sweep.

    Parameters
    ----------
    survivors : the set holds only assets that still exist (sp500-20 does).
    dividends : True where the prices include them, False where not, None where it is not known.
    purge : rows between training and the first test row.
    """

    survivors: bool
    dividends: bool | None
    purge: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the verdict is made of; None where a test was not run.

    `yardstick` names the benchmark of the SPA test; `periods` is rows a year.
    """

    winner: Winner | None
    own: Deflation | None
    ever: Deflation | None
    overfitting: Overfitting | None
    superior: SuperiorAbility | None
    procedure: ProcedureResult | None
    holdout: Holdout | None
    notes: DataNotes
    yardstick: str
    periods: float


def verdict(evidence: Evidence) -> list[str]:
    """Return the verdict, because a number nobody can read changes nobody's mind.

    Parameters
    ----------
    evidence : what was found.

    Returns
    -------
    Sentences: the procedure first, then the winner, then what each test says, then a count of the tests it
    passed, then what limits the data. A test passes at 95 % (PSR, DSR over all trials ever run), PBO up to
    20 %, SPA p up to 5 %, and where procedure and holdout beat the yardstick's Sharpe ratio.

    Source : thresholds are conventions, not theorems: docs/numbers.md, "The verdict"; checked in
        tests/unit/test_aggregate_verdict.py.
    """
    sentences, passed = [], {}
    for name, found in (
        ("procedure", _procedure(evidence.procedure)),
        ("PSR", _winner(evidence)),
        ("DSR", _deflated(evidence)),
        ("PBO", _overfitting(evidence.overfitting)),
        ("SPA", _superior(evidence.superior, evidence.yardstick)),
        ("holdout", _holdout(evidence.holdout, evidence.yardstick)),
    ):
        sentences.append(found[0])
        if found[1] is not None:
            passed[name] = found[1]
    return [*sentences, _count(passed), *_notes(evidence.notes)]


Found = tuple[str, bool | None]


def _procedure(found: ProcedureResult | None) -> Found:
    """Say what choosing by the tournament as it went would have given."""
    if found is None:
        return (
            "Procedure: not measured, because no window has 504 earlier out-of-sample rows to choose on "
            "with a trial that has a value.",
            None,
        )
    beats = _beats(found.sharpe, found.yardstick_sharpe)
    return (
        f"Procedure: holding in each window the trial that had led until then, switching costs paid, gave a "
        f"Sharpe ratio of {_number(found.sharpe)} and {_percent(found.cagr)} a year over {found.rows:,} rows "
        f"({found.switches} switches); {found.yardstick} gave a Sharpe ratio of "
        f"{_number(found.yardstick_sharpe)} on the same rows. This, not the winner's record, is what the "
        f"tournament was worth.",
        beats,
    )


def _winner(evidence: Evidence) -> Found:
    """Say who leads, and how sure its record alone would make one."""
    found = evidence.winner
    if found is None:
        return "Winner: none, because no competing trial finished with a value of the objective.", None
    years = found.rows / evidence.periods
    said = (
        f"Winner: trial {found.trial} leads {found.competing:,} competing trials with {found.metric} "
        f"{_number(found.value)} over {found.rows:,} out-of-sample rows ({years:.1f} years)."
    )
    if math.isnan(found.psr):
        return f"{said} Its probabilistic Sharpe ratio is not defined.", None
    return (
        f"{said} Had it been the only trial, its true Sharpe ratio would be above 0 with a probability of "
        f"{_probability(found.psr)} (PSR).",
        found.psr >= SURE,
    )


def _deflated(evidence: Evidence) -> Found:
    """Say what the number of trials leaves of it."""
    winner, own, ever = evidence.winner, evidence.own, evidence.ever
    if winner is None or own is None or ever is None or math.isnan(winner.dsr_ever):
        return "DSR: not defined, because there is no winner with a Sharpe ratio to deflate.", None
    scale = math.sqrt(evidence.periods)
    correlation = "not defined" if math.isnan(ever.correlation) else f"{ever.correlation:.2f}"
    said = (
        f"DSR: this sweep's {_trials(own.trials)} are worth {own.effective:,.1f} independent ones (mean "
        f"correlation {correlation}); the {_trials(ever.trials)} ever run on this data, {ever.effective:,.1f}. The "
        f"best of so many without any skill is expected to show a Sharpe ratio of {ever.benchmark * scale:.2f}; "
        f"that the winner's true one is above that has a probability of {_probability(winner.dsr_ever)} "
        f"({_probability(winner.dsr)} counting this sweep alone)."
    )
    return said, winner.dsr_ever >= SURE


def _overfitting(found: Overfitting | None) -> Found:
    """Say whether leading in one half of the time means anything in the other."""
    if found is None or math.isnan(found.probability):
        return "PBO: not measured, because it needs two competing trials that vary and 32 rows.", None
    passed = found.probability <= OVERFIT
    reading = (
        "leading carries over from one half to the other"
        if passed
        else "leading in one half says nothing, or the wrong thing, about the other"
        if found.probability >= 0.5
        else "leading in one half says little about the other"
    )
    return (
        f"PBO: over {found.combinations:,} splits of the time in halves, the leader of one half ranked in the "
        f"lower half of the trials in the other in {_percent(found.probability)}; {reading}. It lost to cash in "
        f"{_percent(found.loss_probability)}.",
        passed,
    )


def _superior(found: SuperiorAbility | None, yardstick: str) -> Found:
    """Say whether the best mean return beats the yardstick's by more than luck."""
    if found is None or math.isnan(found.p_consistent):
        return "SPA: not measured, because there is no yardstick from which a competing trial differs.", None
    passed = found.p_consistent <= 1.0 - SURE
    reading = "is hard to explain" if passed else "can be explained"
    return (
        f"SPA: that the best of {_trials(found.trials)} earned more than {yardstick} {reading} by luck "
        f"(p = {found.p_consistent:.3f}, between {found.p_lower:.3f} and {found.p_upper:.3f}; {found.draws:,} draws, "
        f"mean block {found.mean_block:.1f} rows). It compares mean returns, whatever their risk.",
        passed,
    )


def _holdout(found: Holdout | None, yardstick: str) -> Found:
    """Say how the winner did on rows that never ranked."""
    if found is None:
        return "Holdout: none was set aside (validation.holdout), so every row took part in the choice.", None
    return (
        f"Holdout: on {found.rows:,} rows that never ranked, the winner's Sharpe ratio is "
        f"{_number(found.sharpe)}, that of {yardstick} {_number(found.yardstick_sharpe)}. It is honest once: "
        f"a holdout looked at twice is none.",
        _beats(found.sharpe, found.yardstick_sharpe),
    )


def _count(passed: dict[str, bool]) -> str:
    """Say how many of the tests that could be made were passed."""
    if not passed:
        return "Verdict: nothing could be tested; there is no evidence of skill."
    won = [name for name, good in passed.items() if good]
    lost = [name for name, good in passed.items() if not good]
    if not lost:
        return f"Verdict: all tests that could be made were passed ({', '.join(won)}); luck alone is unlikely."
    if not won:
        return f"Verdict: no test was passed ({', '.join(lost)}); treat the winner as luck."
    return (
        f"Verdict: passed {', '.join(won)}; not passed {', '.join(lost)}. A winner that fails any of them is "
        f"not yet told apart from luck."
    )


def _notes(notes: DataNotes) -> list[str]:
    """Say what limits every number."""
    said = []
    if notes.survivors:
        said.append(
            "Survivorship: the assets were chosen because they still exist, so every number here is too good; "
            "the performance proves nothing, only comparisons between trials mean something."
        )
    if notes.dividends is None:
        said.append("Dividends: whether the prices include them is not known; if not, returns are too low.")
    elif not notes.dividends:
        said.append("Dividends: the prices leave them out, so returns are too low.")
    if notes.purge == 0:
        said.append("Purge: 0 rows; positions are traded at the very close they were decided on.")
    else:
        rows = "row is" if notes.purge == 1 else "rows are"
        said.append(f"Purge: {notes.purge} {rows} left out between training and the first test row.")
    return said


def _beats(value: float, yardstick: float) -> bool | None:
    """Return whether a value beats the yardstick's; None where either is not defined."""
    return None if math.isnan(value) or math.isnan(yardstick) else value > yardstick


def _trials(count: int) -> str:
    """Return a count of trials in words."""
    return "1 trial" if count == 1 else f"{count:,} trials"


def _number(value: float) -> str:
    """Return a metric with two decimals, or that it is not defined."""
    return "not defined" if math.isnan(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    """Return a share in per cent, or that it is not defined."""
    return "not defined" if math.isnan(value) else f"{100.0 * value:.1f} %"


def _probability(value: float) -> str:
    """Return a probability in per cent that never rounds to certainty."""
    if value > 0.999:
        return "over 99.9 %"
    return "under 0.1 %" if value < 0.001 else _percent(value)
