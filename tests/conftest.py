"""What holds for every test: the numeric environment of our results, and no time limits in Hypothesis."""

from __future__ import annotations

from backsweep.settings import pin_numeric_environment

# Before anything imports numpy, which chooses its kernels then; if a plugin was faster, this raises.
pin_numeric_environment()

from hypothesis import settings  # noqa: E402  # the pin above must come first

# Inherits Hypothesis' own choice for CI (derandomised there), so a red build can be repeated.
settings.register_profile("backsweep", settings(deadline=None), print_blob=True)
settings.load_profile("backsweep")
