"""Formats of trained networks: each is written, opened and run here."""
