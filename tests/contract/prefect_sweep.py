"""Runs one sweep under Prefect in a process of its own, so that a test can kill it: FILE OUTPUT [MISHAP]."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from backsweep.settings import pin_numeric_environment

pin_numeric_environment()

from backsweep import flow, orchestration  # noqa: E402  # the pin above must come first
from backsweep.errors import BacksweepError, WorkerLostError  # noqa: E402
from backsweep.flow import run, stages  # noqa: E402
from backsweep.orchestration import keeper  # noqa: E402


def lose_a_worker_once() -> None:
    lost = list[bool]()

    def run_or_lose(*arguments: Any) -> Any:
        if not lost:
            lost.append(True)
            raise WorkerLostError("a worker was lost")
        return run.run_blocks(*arguments)

    setattr(stages, "run_blocks", run_or_lose)  # noqa: B010  # mypy knows only the one signature


def lose_patience() -> None:
    keeper.PATIENCE_SECONDS = 1.0


MISHAPS = {"worker": lose_a_worker_once, "impatient": lose_patience}


def main(file: Path, output: Path, mishap: str | None = None) -> int:
    if mishap is not None:
        MISHAPS[mishap]()
    said: list[str] = []
    listener = flow.Listener(planned=lambda _: None, progress=lambda _: None, say=said.append)
    document = flow.read_sweep(file.read_text(), [])
    try:
        request = flow.Request(document, file.parent, output, "2026-01-01T00:00:00+00:00")
        finished = orchestration.run_with_prefect(request, listener)
    except BacksweepError as error:
        sys.stdout.write(json.dumps({"reason": error.reason, "error": str(error)}))
        return 1
    sys.stdout.write(json.dumps({"resultDigest": finished.result_digest, "said": said}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
