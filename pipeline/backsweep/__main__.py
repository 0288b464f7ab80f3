"""``python -m backsweep`` is the command ``backsweep``."""

import sys

from backsweep.cli import main

if __name__ == "__main__":
    sys.exit(main())
