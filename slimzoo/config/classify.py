"""Options of classify_image.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import SIZE_HELP, Size, option, recorded
from slimzoo.config.shared import Inference


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyConfig(Inference):
    """Options of classification."""

    title: ClassVar = "Classification"

    checkpoint_path: str | None = option(
        None, "Checkpoint, or directory whose latest one is used."
    )
    image: str | None = option(None, "Picture; the same as giving it without a flag.")
    labels: str | None = option(
        None, "Class names: lines of `number:name`, or one name per line."
    )
    top_k: int = option(5, "Answers per picture.", at_least=1)
    format: str = option("table", "How to write answers: table, csv or jsonl.")
    output_file: str | None = option(None, "Where to write answers; by default, here.")
    logits: bool = option(False, "Write logits instead of probabilities.")
    end_point: str | None = option(
        None, "End point whose values go to --embeddings_file, as global_pool."
    )
    embeddings_file: str | None = option(
        None, "File (.npz) for the values of --end_point, with the pictures' files."
    )
    image_size: Size | None = recorded(
        None, f"{SIZE_HELP}; by default as trained, or the network's own."
    )
    batch_size: int = option(
        32, "Pictures per step; it does not affect results.", at_least=1
    )
    num_preprocessing_threads: int = option(
        4, "Pictures read and preprocessed in parallel.", at_least=1
    )
    input_mean: float | None = option(
        None,
        "With this or --input_std, pictures are resized and become (pixels - mean) / "
        "std, instead of what the preprocessing recipe makes of them. By default 0.",
    )
    input_std: float | None = option(None, "See --input_mean; by default 255.")
    input_height: int | None = option(
        None,
        "Height in pixels, with --input_width: another way to --image_size.",
        at_least=1,
    )
    input_width: int | None = option(None, "See --input_height.", at_least=1)
