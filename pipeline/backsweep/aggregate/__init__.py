"""Across trials: who leads, and whether that is luck."""
