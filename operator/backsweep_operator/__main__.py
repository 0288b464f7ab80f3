"""`python -m backsweep_operator`."""

import sys

from backsweep_operator.main import main

sys.exit(main())
