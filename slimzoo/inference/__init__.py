"""Running a trained network: its weights, precision and views."""
