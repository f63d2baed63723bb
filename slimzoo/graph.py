"""Graphs as `freeze_graph` needs them."""

from slimbase.graph import classic_graph, session_config

__all__ = ["classic_graph", "session_config"]
