"""`python -m backsweep_operator`."""

import sys

from backsweep_operator.main import main

# The API server stores JSON of up to 10,000 levels. Python's parser gives up at its own limit, far below that, and one
# such object in a list would hide all others.
sys.setrecursionlimit(25_000)
sys.exit(main())
