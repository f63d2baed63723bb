"""Errors that a program can catch."""

from slimbase.errors import UserError

__all__ = ["UserError"]
