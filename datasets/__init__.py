"""Data sets: descriptors, converters and the input pipeline."""
