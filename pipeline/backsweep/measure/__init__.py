"""What one out-of-sample series is worth: its metrics, on all rows, on expanding windows, and by slices."""
