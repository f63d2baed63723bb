"""Draws the data set `shapes`: figures of ten classes, as TFRecords of JPEG pictures.

No figure is another one turned, so that every picture may be turned at random.
"""

import colorsys
import os
import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image, ImageDraw

from datasets import shapes
from datasets.converting import conversion
from datasets.dataset_factory import datasets_map
from datasets.storage import encoding
from slimbase.errors import UserError

_IMAGE_SIZE = 64
_SEED = 0
_NUM_SHARDS = 4

# Figures are drawn this many times larger, then reduced, for smooth edges.
_SUPERSAMPLING = 4
# Least difference in brightness, of 255, between a figure and its background.
_CONTRAST = 70
# Of the circle around a figure, in pixels.
_SMALLEST_RADIUS, _LARGEST_RADIUS = 13.0, 28.0
# Greatest standard deviation of the noise on each pixel, of 255.
_NOISE = 10.0


def _arc(
    radius: float, start: float = 0.0, stop: float = 360.0, x: float = 0.0
) -> np.ndarray:
    """Points on a circle about `(x, 0)`, from one angle to another, in degrees."""
    angles = np.radians(np.linspace(start, stop, 60))
    return np.stack([x + radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _polar(*radii: float) -> np.ndarray:
    """Corners at even angles and the given distances, one after the other."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None]


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 80)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2.5], axis=1) / 18.2


# The outline of each figure, as [n, 2] points within 1 of the origin. A hole is
# reached by a cut of no width.
FIGURES = {
    "arrow": np.array(
        [(1, 0), (0.1, 0.8), (0.1, 0.3), (-0.95, 0.3),
         (-0.95, -0.3), (0.1, -0.3), (0.1, -0.8)]
    ),
    "circle": _arc(0.9),
    "crescent": np.concatenate([_arc(1, 50, 310), _arc(0.77, 277, 83, x=0.55)]),
    "cross": np.array(
        [(0.3, 0.3), (0.3, 0.95), (-0.3, 0.95), (-0.3, 0.3),
         (-0.95, 0.3), (-0.95, -0.3), (-0.3, -0.3), (-0.3, -0.95),
         (0.3, -0.95), (0.3, -0.3), (0.95, -0.3), (0.95, 0.3)]
    ),
    "heart": _heart(),
    "hourglass": np.array(
        [(0.55, 0.8), (0.1, 0), (0.55, -0.8), (-0.55, -0.8), (-0.1, 0), (-0.55, 0.8)]
    ),
    "ring": np.concatenate([_arc(1), _arc(0.55, 360, 0)]),
    "square": _polar(1, 1, 1, 1),
    "star": _polar(*[1, 0.42] * 5),
    "triangle": _polar(1, 1, 1),
}  # fmt: skip


def _plain(rng: np.random.Generator) -> np.ndarray:
    return np.full((_IMAGE_SIZE, _IMAGE_SIZE), rng.random())


def _gradient(rng: np.random.Generator) -> np.ndarray:
    ramp = _along_a_direction(rng)
    return (ramp - ramp.min()) / np.ptp(ramp)


def _stripes(rng: np.random.Generator) -> np.ndarray:
    return np.sin(_along_a_direction(rng) * 2 * np.pi / rng.uniform(6, 24)) > 0


def _clouds(rng: np.random.Generator) -> np.ndarray:
    coarse = Image.fromarray(rng.random((6, 6), np.float32))
    smooth = coarse.resize((_IMAGE_SIZE, _IMAGE_SIZE), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(smooth), 0, 1)


def _along_a_direction(rng: np.random.Generator) -> np.ndarray:
    """How far each pixel is along a random direction, in pixels."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:_IMAGE_SIZE, :_IMAGE_SIZE]
    return np.cos(angle) * x + np.sin(angle) * y


# Each gives the share of the second background colour, 0 to 1, per pixel.
_BACKGROUNDS = (_plain, _gradient, _stripes, _clouds)


def draw_shape(rng: np.random.Generator, class_name: str) -> Image.Image:
    """Draws a figure of random colour, size, place, angle and background.

    Args:
      rng: where all choices come from.
      class_name: a key of `FIGURES`.

    Returns:
      An RGB picture of 64 x 64 pixels.
    """
    figure_color, ground_color, other_ground_color = _contrasting_colors(rng)
    background = _BACKGROUNDS[rng.integers(len(_BACKGROUNDS))]
    ground = _mix(ground_color, other_ground_color, background(rng))
    pixels = _mix(ground, figure_color, _figure_mask(rng, FIGURES[class_name]))
    pixels = pixels + rng.normal(0, rng.uniform(0, _NOISE), pixels.shape)
    return Image.fromarray(np.clip(pixels.round(), 0, 255).astype(np.uint8))


def _figure_mask(rng: np.random.Generator, outline: np.ndarray) -> np.ndarray:
    """The share of the figure, 0 to 1, per pixel."""
    radius = rng.uniform(_SMALLEST_RADIUS, _LARGEST_RADIUS)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    center = rng.uniform(radius + 1, _IMAGE_SIZE - radius - 1, 2)
    points = outline @ turn.T * radius + center
    size = _IMAGE_SIZE * _SUPERSAMPLING
    large = Image.new("L", (size, size))
    corners = [tuple(point) for point in points * _SUPERSAMPLING]
    ImageDraw.Draw(large).polygon(corners, fill=255)
    return np.asarray(large.reduce(_SUPERSAMPLING)) / 255


def _contrasting_colors(rng: np.random.Generator) -> np.ndarray:
    """Three RGB colours, 0 to 255: a figure's, and two like ones for its background."""
    while True:
        hue, saturation, value = rng.random(3)
        figure = 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, value))
        ground = rng.uniform(0, 255, 3)
        colors = np.array([figure, ground, ground + rng.uniform(-60, 60, 3)])
        brightness = np.clip(colors, 0, 255) @ (0.299, 0.587, 0.114)
        if np.abs(brightness[1:] - brightness[0]).min() >= _CONTRAST:
            return np.clip(colors, 0, 255)


def _mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (second - first) * share[..., None]


def write_samples(
    directory: str | os.PathLike[str], per_class: int = 1, seed: int = 1
) -> list[pathlib.Path]:
    """Draws pictures that are not in the data set, as `<class>_<number>.png`.

    Args:
      directory: where to write them; made if missing.
      per_class: how many of each class.
      seed: other seeds give other pictures; 0 is that of the data set.

    Returns:
      The paths of the pictures.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for label, name in enumerate(FIGURES):
        for number in range(per_class):
            path = directory / f"{name}_{number}.png"
            draw_shape(np.random.default_rng([seed, label, number]), name).save(path)
            paths.append(path)
    return paths


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Writes four shards each of training and test pictures, and labels.txt.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: has to be None: there is nothing to read.

    Raises:
      UserError: if `source_dir` is given.
    """
    if source_dir:
        raise UserError("shapes are drawn, not read: leave --source_dir out.")

    def read(work: pathlib.Path) -> conversion.Content:
        del work  # Nothing is downloaded.
        splits = {
            split: _draw_split(split, number, size)
            for number, (split, size) in enumerate(shapes.SPLITS_TO_SIZES.items())
        }
        return conversion.Content(list(FIGURES), splits)

    conversion.convert(datasets_map["shapes"], dataset_dir, read, _NUM_SHARDS)


def _draw_split(split: str, number: int, size: int) -> conversion.SplitPlan:
    names = list(FIGURES)
    labels = [index % len(names) for index in range(size)]

    def encode(index: int) -> tf.train.Example:
        rng = np.random.default_rng([_SEED, number, index])
        picture = draw_shape(rng, names[labels[index]])
        return encoding.pixels_example(np.asarray(picture), labels[index], "jpeg")

    paths = [f"shapes/{split}/{index:05d}" for index in range(size)]
    return conversion.SplitPlan(labels, paths, encode)
