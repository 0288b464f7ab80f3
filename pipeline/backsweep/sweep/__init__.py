"""Drives a plan through the ports and compares what comes of it."""
