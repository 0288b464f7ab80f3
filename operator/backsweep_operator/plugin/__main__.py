"""`python -m backsweep_operator.plugin`."""

import sys

from backsweep_operator.plugin.commands import main

sys.exit(main())
