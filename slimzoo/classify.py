"""Classification, for programs."""

from slimzoo.classification.classify import classify

__all__ = ["classify"]
