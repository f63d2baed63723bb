"""Conversion to records: the engine, and readers of source formats."""
