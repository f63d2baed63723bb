"""Training: the graph, the session with its hooks, and validation."""
