"""Whether a command runs as a Prefect flow: yes, unless told otherwise or Prefect is not installed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from importlib.util import find_spec

from backsweep.errors import UserError

__all__ = ["VARIABLE", "add_no_prefect", "wants_prefect"]

VARIABLE = "BACKSWEEP_PREFECT"
NOT_INSTALLED = "Prefect is not installed (pip install 'backsweep[prefect]'): this runs without a flow and a dashboard"


def add_no_prefect(parser: argparse.ArgumentParser) -> None:
    """Let a command be run without Prefect."""
    parser.add_argument(
        "--no-prefect",
        action="store_true",
        help=f"no flow, no server, no dashboard; for scripts ({VARIABLE}=0 says the same)",
    )


def wants_prefect(options: argparse.Namespace, say: Callable[[str], None]) -> bool:
    """Return whether to run as a flow; `say` is told in a sentence where Prefect is wanted and not installed.

    Raises
    ------
    UserError
        If BACKSWEEP_PREFECT is neither 0 nor 1.
    """
    asked = os.environ.get(VARIABLE, "1")
    if asked not in {"0", "1"}:
        raise UserError(f"{VARIABLE}={asked}: 1 (a Prefect flow, as without the variable) or 0 (none) is expected")
    if options.no_prefect or asked == "0":
        return False
    if find_spec("prefect") is None:
        say(NOT_INSTALLED)
        return False
    return True
