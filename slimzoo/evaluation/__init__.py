"""Evaluation: metrics, predictions and the report."""
