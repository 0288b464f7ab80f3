"""Other libraries asked for the same trial, to compare with: each imported only where it solves a window."""
