"""The options of each command, a frozen dataclass each.

The names below are for programs; modules of slimzoo import them from the modules that
define them.
"""

from slimzoo.config.classify import ClassifyConfig
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.export import ExportConfig
from slimzoo.config.train import TrainConfig
from slimzoo.config.zoo import DownloadConfig, ListConfig

__all__ = [
    "ClassifyConfig",
    "DownloadConfig",
    "EvalConfig",
    "ExportConfig",
    "ListConfig",
    "TrainConfig",
]
