"""docs/lifecycle.md names every state and every reason, and the product of all retries."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.operator_views import BASE, sweep_of

from backsweep_api.conditions import State, StopReason
from backsweep_api.spec.execution import Execution
from backsweep_operator.model import Release

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md").read_text(encoding="utf-8")
STAGE_RETRIES = 1


def rows(title: str) -> list[str]:
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_every_state_and_every_reason_is_explained() -> None:
    assert sorted(rows("States")) == sorted(State)
    elsewhere = {StopReason.QUEUE_DEADLINE_EXCEEDED, StopReason.STOP_OVERDUE}
    assert sorted(rows("Why an attempt is stopped")) == sorted(set(StopReason) - elsewhere)
    assert all(f"`{reason}`" in PAGE for reason in elsewhere)


def test_the_product_of_retries_is_the_one_of_the_defaults() -> None:
    document = sweep_of(BASE).document
    assert document is not None
    again = (
        Execution.model_validate({}).retries,
        STAGE_RETRIES,
        Release("i").job_backoff_limit,
        document.spec.backoff_limit,
    )
    product = 1
    for times in again:
        product *= times + 1
    told = " \N{MULTIPLICATION SIGN} ".join(f"({times} + 1)" for times in again)
    assert f"{told} = {product} times" in " ".join(PAGE.split())
