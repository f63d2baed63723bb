"""A page with some pictures of each class, as they are and as networks see them."""

import base64
import io
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image, ImageDraw, ImageFont

from datasets.storage import records
from datasets.storage.split import StoredSplit
from preprocessing import preprocessing_factory
from preprocessing.choices import NONE, Distortions
from slimbase import files, templates
from slimbase.command_line.options import Size
from slimbase.errors import UserError
from slimbase.graph import session_config

SUFFIXES = (".html", ".png")
VIEWS = ("as it is", "training", "evaluation")
MOST_CLASSES = 100  # More make a page too large to look at.

_TEMPLATE = pathlib.Path(__file__).with_name("contact_sheet.html")
_TILE = 112  # Pixels on the page; HTML has twice as many for dense screens.
_MOST_ACROSS = 1600  # Pixels; pictures that do not fit go into another line.
_DEFAULT_SIDE = 224
_GAP, _SAMPLE_GAP, _LINE = 4, 16, 18
_INK, _SOFT, _PAPER, _EMPTY = "#1f2933", "#5b6672", "#ffffff", "#e3e7eb"

SampleViews = Sequence[Image.Image]  # One of each of `VIEWS`.


class Sample(NamedTuple):
    """A picture to show.

    Attributes:
      digest: digest of the picture's bytes.
      split: name of the split.
      path: path of the record file.
      position: number of the record in the file.
      offset: offset of the record in the file, in bytes.
      filename: name of the file that the picture was read from; empty if unknown.
    """

    digest: bytes
    split: str
    path: str
    position: int
    offset: int
    filename: str = ""

    @property
    def source(self) -> str:
        """The split, and the file or the record."""
        record = f"{pathlib.PurePath(self.path).name}:{self.position}"
        return f"{self.split}, {self.filename or record}"


def check(path: str | None) -> None:
    """Raises UserError for a file whose suffix is not in `SUFFIXES`."""
    if path and not path.lower().endswith(SUFFIXES):
        raise UserError(f"--contact_sheet={path} should end in {' or '.join(SUFFIXES)}")


def write(
    path: str,
    title: str,
    samples: Mapping[int, Sequence[Sample]],
    names: Mapping[int, str],
    dataset: StoredSplit,
    *,
    preprocessing_name: str,
    image_size: Size | None = None,
    distortions: Distortions = NONE,
) -> None:
    """Writes the page, whole or not at all.

    Args:
      path: path of an HTML or PNG file.
      title: title of the page.
      samples: pictures to show, by class number.
      names: names of the classes, by number.
      dataset: the split, whose decoder makes items image.
      preprocessing_name: name of the recipe.
      image_size: size of the images that the recipe makes; by default that of the data
        set's pictures if all are of one size, else 224x224.
      distortions: what training does otherwise than the recipe.

    Raises:
      UserError: for an unknown recipe, a size that it cannot make, or a path that
        cannot be written.
    """
    shown = [label for label in sorted(samples) if samples[label]][:MOST_CLASSES]
    views, (height, width) = _views_fn(
        dataset, preprocessing_name, image_size, distortions
    )
    recipe = preprocessing_factory.get_recipe(preprocessing_name)
    done = distortions.describe(recipe.mirrors, recipe.distorts_colors)
    note = f"Preprocessing: {preprocessing_name}, {height}x{width} pixels; {done}."
    if len(shown) < len(names):
        note += f" {len(shown)} of {len(names):,} classes."
    rows = [
        (_heading(label, names), [(sample, views(sample)) for sample in samples[label]])
        for label in shown
    ]
    with files.replacing(path) as temporary:
        if path.lower().endswith(".png"):
            _sheet(note, rows).save(temporary, "PNG")
        else:
            page = templates.render(
                _TEMPLATE, title=title, note=note, captions=VIEWS, classes=_uris(rows)
            )
            temporary.write_text(page, "utf-8", errors="backslashreplace")


def _heading(label: int, names: Mapping[int, str]) -> str:
    name = names.get(label, "")
    return f"{label}: {name}" if name not in ("", str(label)) else str(label)


def _views_fn(
    dataset: StoredSplit,
    preprocessing_name: str,
    size: Size | None,
    distortions: Distortions,
) -> tuple[Callable[[Sample], SampleViews], Size]:
    """A function from a sample to its `VIEWS`, and the size of processed ones."""
    recipe = preprocessing_factory.get_recipe(preprocessing_name)
    with tf.Graph().as_default() as graph, tf.device("/cpu:0"):
        content = tf.placeholder(tf.string, [])
        seed = tf.placeholder(tf.int64, [2])
        [image] = dataset.decoder.decode(content, ["image"])
        height, width, _ = image.shape.as_list()
        size = size or (height or _DEFAULT_SIDE, width or _DEFAULT_SIDE)
        training, evaluation = (
            preprocessing_factory.get_preprocessing(
                preprocessing_name, is_training=is_training, distortions=distortions
            )
            for is_training in (True, False)
        )
        made = image, training(image, *size, seed=seed), evaluation(image, *size)
        session = tf.Session(graph=graph, config=session_config(on_cpu=True))
        run = session.make_callable(list(made), [content, seed])

    def views(sample: Sample) -> SampleViews:
        own_seed = [sample.position, int.from_bytes(sample.digest[:4], "big")]
        picture, *processed = run(records.read_at(sample.path, sample.offset), own_seed)
        shown = [
            picture,
            *(_displayable(p, recipe.mean, recipe.scale) for p in processed),
        ]
        return [Image.fromarray(p[..., 0] if p.shape[-1] == 1 else p) for p in shown]

    return views, size


def _displayable(pixels: np.ndarray, mean: Any, scale: float | None) -> np.ndarray:
    """A recipe's image as uint8; stretched where every image has its own range."""
    if mean is None or scale is None:
        low, high = pixels.min(), pixels.max()
        pixels = (pixels - low) / max(high - low, 1e-6) * 255
    else:
        pixels = pixels * scale + np.float32(mean)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


_Rows = Sequence[tuple[str, Sequence[tuple[Sample, SampleViews]]]]


def _uris(rows: _Rows) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """For each class its name, and for each sample its source and its views."""
    return [
        (name, [(sample.source, list(map(_data_uri, views))) for sample, views in row])
        for name, row in rows
    ]


def _data_uri(picture: Image.Image) -> str:
    content = io.BytesIO()
    _fitted(picture, 2 * _TILE).save(content, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    """The picture resized to fit a square; small ones are enlarged without blurring."""
    factor = side / max(picture.size)
    width, height = (max(1, round(n * factor)) for n in picture.size)
    resampling = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    return picture.resize((width, height), resampling)


def _sheet(note: str, rows: _Rows) -> Image.Image:
    """Lines of tiles for each class, below the class's name."""
    group = len(VIEWS) * (_TILE + _GAP) + _SAMPLE_GAP
    most = max((len(samples) for _, samples in rows), default=1)
    margin, head = _SAMPLE_GAP, 2 * _LINE
    across = min(most, (_MOST_ACROSS - 2 * margin) // group)
    line_height = _TILE + _LINE + _SAMPLE_GAP
    heights = [_LINE + line_height * -(-len(s) // across) for _, s in rows]
    size = 2 * margin + group * across, 2 * margin + head + sum(heights)
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    note += f" Each picture: {', '.join(VIEWS)}."
    draw.text((margin, margin), note, _SOFT, font)
    top = margin + head
    for (name, samples), height in zip(rows, heights, strict=True):
        draw.text((margin, top), " ".join(name.split()), _INK, font)
        for position, (sample, views) in enumerate(samples):
            line, column = divmod(position, across)
            left, upper = margin + column * group, top + _LINE + line * line_height
            for number, view in enumerate(views):
                _paste(sheet, view, (left + number * (_TILE + _GAP), upper))
            source = _cut(" ".join(sample.source.split()), font, group - _SAMPLE_GAP)
            draw.text((left, upper + _TILE), source, _SOFT, font)
        top += height
    return sheet


def _paste(sheet: Image.Image, view: Image.Image, corner: tuple[int, int]) -> None:
    left, top = corner
    sheet.paste(_EMPTY, (left, top, left + _TILE, top + _TILE))
    tile = _fitted(view, _TILE)
    room = _TILE - tile.width, _TILE - tile.height
    sheet.paste(tile, (left + room[0] // 2, top + room[1] // 2))


def _cut(text: str, font: Any, width: float) -> str:
    """The end of a text, by which file names differ, as far as there is room for it."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"...{text}") > width:
        text = text[1:]
    return f"...{text}"
