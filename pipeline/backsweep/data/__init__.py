"""From tables of prices or returns to the arrays of one data set: checked, aligned, hashed; no I/O."""
