"""What is asked of finished sweeps: opened again, checked, explained, compared, traced."""
