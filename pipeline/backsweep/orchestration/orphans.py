"""Runs whose process died without a word: Prefect shows them as running for ever, unless somebody says so."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from backsweep.orchestration.state import StateFolder, hold

__all__ = ["alive", "bury"]

SENTENCE = "the process of this run was killed; what it finished is stored, and the same command goes on from there"


@contextlib.contextmanager
def alive(run: UUID, api_url: str) -> Iterator[None]:
    """Hold a lock in the state folder for as long as this process runs the flow run."""
    path = _runs() / f"{run}.json"
    with hold(path):
        path.write_text(json.dumps({"api": api_url}) + "\n", encoding="utf-8")
        yield
        path.unlink(missing_ok=True)


def bury(client: Any, api_url: str) -> list[UUID]:
    """Set the runs of dead processes to Crashed, with a sentence, and return them."""
    buried = []
    for path in sorted(_runs().glob("*.json")):
        with hold(path) as held:
            if not held or _api(path) != api_url:
                continue
            run = UUID(path.stem)
            _crash(client, run)
            path.unlink(missing_ok=True)
            buried.append(run)
    return buried


def _crash(client: Any, run: UUID) -> None:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    try:
        found = client.read_flow_run(run)
    except ObjectNotFound:
        return
    if found.state is None or found.state.is_final():
        return
    mine = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    for task_run in client.read_task_runs(flow_run_filter=mine):
        if task_run.state is not None and not task_run.state.is_final():
            client.set_task_run_state(task_run.id, Crashed(message=SENTENCE), force=True)
    client.set_flow_run_state(run, Crashed(message=SENTENCE), force=True)


def _api(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["api"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _runs() -> Path:
    folder = StateFolder.of_user().folder / "runs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
