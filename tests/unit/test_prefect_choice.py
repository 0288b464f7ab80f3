"""A run is a Prefect flow unless it is told otherwise."""

from __future__ import annotations

import argparse

import pytest

from backsweep.cli import prefect
from backsweep.errors import UserError

PLAIN = argparse.Namespace(no_prefect=False)


def asked(options: argparse.Namespace) -> tuple[bool, list[str]]:
    said: list[str] = []
    return prefect.wants_prefect(options, said.append), said


def test_it_is_the_default_and_a_flag_or_the_environment_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKSWEEP_PREFECT")
    assert asked(PLAIN) == (True, [])
    assert asked(argparse.Namespace(no_prefect=True)) == (False, [])
    monkeypatch.setenv("BACKSWEEP_PREFECT", "0")
    assert asked(PLAIN) == (False, [])


def test_any_other_word_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSWEEP_PREFECT", "no")
    with pytest.raises(UserError, match=r"BACKSWEEP_PREFECT=no: 1 .* or 0 \(none\) is expected"):
        asked(PLAIN)


def test_where_prefect_is_not_installed_it_runs_without_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSWEEP_PREFECT", "1")
    monkeypatch.setattr(prefect, "find_spec", lambda name: None)
    assert asked(PLAIN) == (False, [prefect.NOT_INSTALLED])
