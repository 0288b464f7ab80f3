"""From distinct trials to units and blocks: pure, and the same wherever it is asked."""
