"""Options of check_dataset.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import SIZE_HELP, Size, option
from slimzoo.config.shared import Augmentation


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckConfig(Augmentation):
    """Options of the check of a data set."""

    title: ClassVar = "Check"

    dataset_name: str | None = option(None, "Data set; unknown names list all.")
    dataset_dir: str | None = option(None, "Directory of the data set's records.")
    dataset_split_name: str | None = option(None, "Split; by default all there are.")
    output_file: str | None = option(None, "JSON file for all that is found.")
    contact_sheet: str | None = option(
        None,
        "File (.html or .png) for some pictures of each class, as they are and as "
        "training and evaluation make them.",
    )
    samples_per_class: int = option(4, "Pictures on the contact sheet.", at_least=1)
    preprocessing_name: str = option(
        "inception", "Preprocessing recipe of the contact sheet, or a network's name."
    )
    image_size: Size | None = option(
        None,
        f"{SIZE_HELP}, of what preprocessing makes; by default 224, or that of the "
        "pictures if all are of one.",
    )
