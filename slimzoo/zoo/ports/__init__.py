"""Weights from elsewhere, made into checkpoints of the networks here."""
