"""What a sweep said, from its store: `backsweep logs` reads it, with whatever credentials its user has."""

from __future__ import annotations

import subprocess
import sys
from typing import TextIO

from backsweep_api.errors import UserError
from backsweep_api.status import SweepStatus

__all__ = ["copy_stored_log"]

OPTIONS = {"flow": (), "worker": ("--workers",)}


def copy_stored_log(status: SweepStatus, role: str, tail: int, out: TextIO) -> int:
    """Write the newest log that the store has of a sweep and return the exit code of who read it.

    Parameters
    ----------
    tail : only so many of the last lines; all where it is negative.

    Raises
    ------
    UserError
        If the store has none of that role, or nobody has said where it is.
    """
    if role not in OPTIONS:
        raise UserError(f"what the {role} wrote is gone with its pod; the store has what flow and worker said")
    place = _place(status)
    if place is None:
        raise UserError("status does not say where the store is: the operator has not looked at this sweep yet")
    command = [sys.executable, "-m", "backsweep", "logs", place, *OPTIONS[role]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines(keepends=True)
    out.writelines(lines if tail < 0 else lines[max(len(lines) - tail, 0) :])
    return done.returncode


def _place(status: SweepStatus) -> str | None:
    """Return where the logs are: beside the manifest, which stays where it is when the spec names another store."""
    if status.manifest is not None:
        return status.manifest.uri
    return None if status.links is None else status.links.logs
