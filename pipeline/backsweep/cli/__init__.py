"""The command line: ``backsweep COMMAND``. Prints for people, or JSON for programs; every exit code is documented."""

from backsweep.cli.main import main

__all__ = ["main"]
