"""Prefect's engine for one flow run, with a store that is given up after a second instead of two minutes: ID."""

from __future__ import annotations

import runpy

from backsweep.settings import pin_numeric_environment

pin_numeric_environment()

from backsweep.stores.opening import open_store  # noqa: E402  # the pin above must come first

PATIENCE = 120.0
defaults = open_store.__defaults__ or ()
assert defaults.count(PATIENCE) == 1
open_store.__defaults__ = tuple(1.0 if value == PATIENCE else value for value in defaults)
runpy.run_module("prefect.engine", run_name="__main__")
