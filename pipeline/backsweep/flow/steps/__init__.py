"""Steps before a sweep: functions and scripts with declared inputs and outputs, run, kept and restored."""
