"""A trained model: what it is, its checkpoints and its history."""
