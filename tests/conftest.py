"""What holds for every test: our results' numeric environment, no Prefect unasked, no time limits in Hypothesis."""

from __future__ import annotations

import os

from backsweep.settings import pin_numeric_environment

# Before anything imports numpy, which chooses its kernels then; if a plugin was faster, this raises.
pin_numeric_environment()

# A test that runs a sweep by the command line starts no server, unless it is about Prefect and says so.
os.environ["BACKSWEEP_PREFECT"] = "0"

from hypothesis import settings  # noqa: E402  # the pin above must come first

# Inherits Hypothesis' own choice for CI (derandomised there), so a red build can be repeated.
settings.register_profile("backsweep", settings(deadline=None), print_blob=True)
settings.load_profile("backsweep")
