"""The networks: their list, published checkpoints and complexity."""
