"""Odd files are read right or refused with a reason; the real ones were looked at."""

import concurrent.futures
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pi_heif
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image, ImageCms, ImageOps

from slimbase import testing
from slimbase.pictures import decode, isolated
from slimbase.pictures.decode import PictureError

BLUE_SKY = (135, 206, 235)
# The wall at the right of the hopper, her face and, at the bottom left, the tunic.
HOPPER = (
    *((128, 128), (10, 120, (69, 109, 178)), (64, 64, (172, 79, 62))),
    (120, 10, (14, 12, 14)),
)
GRAY_HOPPER = (
    *((128, 128), (10, 120, (105, 105, 105)), (64, 64, (99, 99, 99))),
    (120, 10, (13, 13, 13)),
)
DICE = ((150, 200), (0, 0, (255, 255, 255)), (95, 110, (230, 32, 32)))
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# What is to be seen: (height, width), then (row, column, color) of telling places; or a
# piece of the reason.
ODD = {
    "bad_huffman.jpg": "is damaged",
    "broken.png": "truncated or damaged",
    "broken_data_stream.png": "is damaged, truncated",
    "corrupt.jpg": "is damaged",
    "corrupt34_2.jpg": "is truncated",
    "corrupt34_3.jpg": "is truncated",
    "corrupt34_4.jpg": "is truncated",
    "decompression_bomb.gif": "has 4,364,696,535 pixels; the most is 120,000,000",
    "dispose_none.gif": ((100, 100), (0, 0, BLUE_SKY), (50, 50, (30, 144, 255))),
    "empty.jpg": "is empty",
    "grace_hopper.bmp": ((600, 512), (150, 500, (77, 116, 185))),
    "hopper_bad_exif.jpg": "is damaged",  # Its rows are displaced.
    "hopper_bw_500.png": ((500, 500), (0, 0, BLACK), (499, 250, BLACK)),
    "hopper_gray.jpg": GRAY_HOPPER,
    "hopper_mask.png": ((16, 16), (8, 3, WHITE), (8, 11, BLACK), (8, 13, WHITE)),
    "hopper_orientation_2.jpg": HOPPER,
    "hopper_orientation_3.jpg": HOPPER,
    "hopper_orientation_6.jpg": HOPPER,
    "hopper_orientation_8.jpg": HOPPER,
    "hopper_rle8.bmp": ((128, 128), (10, 120, (71, 109, 185)), (64, 64, (168, 78, 48))),
    # 16 bits of at most 255 are black; 255 itself, a shape in the middle, transparent.
    "i_trns.png": ((64, 64), (0, 0, BLACK), (63, 63, BLACK), (32, 32, WHITE)),
    "icc-after-SOF.jpg": ((10, 10), (5, 5, BLACK)),
    "jpeg_merge_test1.jpg": ((256, 128), (0, 127, (254, 0, 0)), (250, 2, (0, 0, 254))),
    "jpeg_merge_test1_cmyk.jpg": (
        *((256, 128), (0, 127, (254, 0, 0)), (250, 2, (0, 0, 254))),
    ),
    "jpeg_named.png": GRAY_HOPPER,
    "l_trns.png": ((64, 64), (0, 0, BLACK), (32, 32, WHITE)),
    "lena_gray.png": ((26, 51), (13, 25, (89, 89, 89))),
    "lena_rgba.png": ((26, 51), (0, 0, WHITE), (13, 25, (152, 59, 79))),
    "lossless_gray.jpg": "is a lossless JPEG, which TensorFlow does not decode",
    "multiple_comments.gif": ((100, 100), (0, 0, BLUE_SKY), (50, 50, (30, 144, 255))),
    "p_trns_single.png": ((64, 64), (30, 30, WHITE), (0, 0, (255, 0, 0))),
    "pil_sample_cmyk.jpg": ((100, 100), (1, 5, (255, 14, 23)), (50, 2, BLACK)),
    # The bombs are texts, which nobody reads.
    "png_decompression_dos.png": ((1, 1), (0, 0, (0, 0, 0))),
    "png_named.jpg": DICE,
    "text.jpg": "AVIF or HEIC: it begins with b'not an i'",
    "transparent.png": DICE,
    "truncated_end_chunk.png": "is damaged, truncated",
    "truncated_image.png": "is damaged, truncated",
    "truncated_jpeg.jpg": "is truncated",
    # What is unknown is how its color profile is packed.
    "unknown_compression_method.png": ((57, 57), (1, 5, (227, 212, 197))),
    "zero_width.gif": "truncated or damaged",
}


def test_every_odd_picture_has_a_row(shared_data):
    assert {p.name for p in (shared_data / "odd_images").iterdir()} == set(ODD)


@pytest.mark.parametrize("name", ODD)
def test_odd_picture(shared_data, name):
    path, expected = shared_data / "odd_images" / name, ODD[name]
    if isinstance(expected, str):
        with pytest.raises(PictureError) as error:
            decode.read(path)
        assert expected in str(error.value)
        assert "\n" not in str(error.value)
        return
    size, *places = expected
    picture, gray = decode.read(path), decode.read(path, channels=1)
    assert picture.dtype == gray.dtype == np.uint8
    assert picture.shape == (*size, 3)
    assert gray.shape == (*size, 1)
    for row, column, color in places:
        np.testing.assert_allclose(picture[row, column], color, atol=12)
    luma = picture @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma - gray[..., 0]).mean() < 1


def save(path, image, kind, **options):
    image.save(path, kind, **options)
    return path


@pytest.fixture
def colors():
    """16 by 24 random blocks: `[32, 48, 3]`."""
    blocks = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    return blocks.repeat(2, 0).repeat(2, 1)


def test_jpegs_are_decoded_as_in_training(shared_data, tmp_path, colors):
    paths = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))[:20]
    paths = [path for path in paths if not decode.look(path.read_bytes()).profile]
    assert len(paths) > 10
    for progressive in (False, True):
        path = tmp_path / f"{progressive}.png"
        image = Image.fromarray(colors)
        paths.append(save(path, image, "JPEG", progressive=progressive))
    for path in paths:
        for channels in (1, 3):
            expected = tf.io.decode_image(path.read_bytes(), channels).numpy()
            np.testing.assert_array_equal(decode.read(path, channels), expected)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_plain_pictures_are_exact(tmp_path, colors, kind):
    path = save(tmp_path / "a", Image.fromarray(colors), kind)
    np.testing.assert_array_equal(decode.read(path), colors)
    expected = np.asarray(Image.fromarray(colors).convert("L"))
    assert np.abs(decode.read(path, 1)[..., 0] - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_orientation(tmp_path, kind, orientation):
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :32] = 255, 0, 0
    upright[16:, :32] = 0, 255, 0
    undo = {  # Of how Pillow turns a picture upright.
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = Image.fromarray(upright)
    if orientation in undo:
        image = image.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a", image, kind, exif=exif, quality=95)
    picture = decode.read(path)
    assert picture.shape == upright.shape
    difference = np.abs(picture.astype(int) - upright)
    assert difference[4:12, 4:28].max() < 12
    assert difference[20:28, 4:28].max() < 12


@pytest.mark.parametrize(
    "exif",
    [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\xff\xff\xff\xff", b"nonsense"],
)
def test_broken_exif_is_ignored(tmp_path, colors, exif):
    image = Image.fromarray(colors)
    plain = decode.read(save(tmp_path / "a", image, "JPEG"))
    path = save(tmp_path / "b", image, "JPEG", exif=b"Exif\0\0" + exif)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(decode.read(path), plain)
    assert not warned


@pytest.mark.parametrize(
    ("surplus", "refused"), [(b"\0" * 9, False), (b"\0" * 999, True)]
)
def test_few_needless_bytes_at_the_end_do_no_harm(tmp_path, colors, surplus, refused):
    path = save(tmp_path / "a.jpg", Image.fromarray(colors), "JPEG", quality=95)
    plain, content = decode.read(path), path.read_bytes()
    path.write_bytes(content[:-2] + surplus + content[-2:])
    if refused:
        with pytest.raises(PictureError, match="is damaged"):
            decode.read(path)
    else:
        np.testing.assert_array_equal(decode.read(path), plain)


def test_cmyk(tmp_path):
    image = Image.new("CMYK", (32, 32), (200, 50, 10, 40))
    path = save(tmp_path / "a.jpg", image, "JPEG", quality=100)  # Inverted, as Adobe's.
    expected = [(255 - ink) * (255 - 40) / 255 for ink in (200, 50, 10)]
    picture = decode.read(path)
    np.testing.assert_allclose(picture[16, 16], expected, atol=2)
    luma = np.dot(expected, [0.299, 0.587, 0.114])
    np.testing.assert_allclose(decode.read(path, 1)[16, 16], luma, atol=2)


def png(color_type, depth, values, *chunks):
    """A PNG file of `values`: `[height, width, samples]`, big-endian if of 16 bits."""

    def chunk(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *(chunk(*each) for each in chunks),
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


@pytest.mark.parametrize(
    ("color_type", "samples", "expected"),
    [
        (0, [0x80FF], (128, 128, 128)),  # 0x80FF / 257 = 128.5 - 0.004
        (0, [0xFFFF], WHITE),
        (2, [0xFFFF, 0x8000, 0x0101], (255, 128, 1)),
        (4, [0x0000, 0x8000], (127, 127, 127)),
        (6, [0xFFFF, 0, 0, 0x4000], (255, 191, 191)),
    ],
)
def test_16_bits(tmp_path, color_type, samples, expected):
    values = np.array(samples, ">u2") * np.ones((4, 5, 1), ">u2")
    path = tmp_path / "a.png"
    path.write_bytes(png(color_type, 16, values.astype(">u2")))
    assert decode.read(path).shape == (4, 5, 3)
    np.testing.assert_array_equal(decode.read(path)[2, 3], expected)


PALETTE = b"\xff\0\0\0\xff\0\0\0\xff"


@pytest.mark.parametrize(
    ("color_type", "depth", "samples", "chunks", "expected"),
    [
        (3, 8, [1], [(b"PLTE", PALETTE)], (0, 255, 0)),
        (3, 8, [1], [(b"PLTE", PALETTE), (b"tRNS", b"\xff\x40")], (191, 255, 191)),
        (3, 8, [2], [(b"PLTE", PALETTE), (b"tRNS", b"\xff\x40")], (0, 0, 255)),
        (0, 8, [100], [], (100, 100, 100)),
        (0, 8, [100], [(b"tRNS", b"\0\x64")], WHITE),
        (2, 8, [1, 2, 3], [(b"tRNS", b"\0\1\0\2\0\3")], WHITE),
        (4, 8, [100, 0], [], WHITE),
        (4, 8, [100, 51], [], (224, 224, 224)),
        (6, 8, [200, 100, 0, 255], [], (200, 100, 0)),
        (6, 8, [200, 100, 0, 51], [], (244, 224, 204)),
        (0, 1, [0b01000000], [], BLACK),
        # An animation that Pillow warns of.
        (2, 8, [1, 2, 3], [(b"acTL", b"\0" * 8)], (1, 2, 3)),
    ],
)
def test_png_pixels(tmp_path, color_type, depth, samples, chunks, expected):
    path = tmp_path / "a.png"
    values = np.array([[samples]], np.uint8)
    path.write_bytes(png(color_type, depth, values, *chunks))
    np.testing.assert_array_equal(decode.read(path), [[expected]])


@pytest.mark.parametrize(
    ("mode", "color", "kind", "expected"),
    [
        ("1", 1, "BMP", WHITE),
        ("L", 90, "BMP", (90, 90, 90)),
        ("RGBA", (200, 100, 0, 51), "WEBP", (244, 224, 204)),
        ("RGB", (200, 100, 0), "WEBP", (200, 100, 0)),
        ("P", 0, "GIF", BLACK),
    ],
)
def test_other_pixels(tmp_path, mode, color, kind, expected):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    path = save(tmp_path / "a", Image.new(mode, (7, 5), color), kind, **options)
    np.testing.assert_array_equal(
        decode.read(path), np.broadcast_to(np.array(expected, np.uint8), (5, 7, 3))
    )


def test_first_frame_and_transparency_of_gif(tmp_path):
    frames = [Image.new("P", (6, 4), index) for index in (1, 2)]
    for frame in frames:
        frame.putpalette(PALETTE)
    more = {"save_all": True, "append_images": frames[1:]}
    path = save(tmp_path / "a.gif", frames[0], "GIF", **more)
    np.testing.assert_array_equal(decode.read(path)[2, 2], (0, 255, 0))
    path = save(tmp_path / "b.gif", frames[0], "GIF", transparency=1)
    np.testing.assert_array_equal(decode.read(path)[2, 2], WHITE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"II*\0" + b"\0" * 20, "is a TIFF that is truncated or damaged"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 20, "is truncated"),
        (b"BMW is a car, this is a text" * 3, "is not a JPEG"),
        (b"RIFF\x20\0\0\0AVI LIST" + b"\0" * 20, "is a video, not a picture"),
        (b"RIFF\x20\0\0\0WAVEfmt " + b"\0" * 20, "is a sound, not a picture"),
        (b"\xff\x0a" + b"\0" * 20, "is a JPEG XL, which is not read: convert it"),
        (b"<!DOCTYPE html><html>", "is a web page, not a picture"),
        (b"\xff\xd8\xff\xe0", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "PNG that is truncated"),
        (b"GIF89a\1\0\1\0", "truncated"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "is damaged"),
    ],
)
def test_reason(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=reason):
        decode.read(path)


def test_reason_when_there_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, reason in {
        tmp_path / "none.jpg": "is not there",
        tmp_path: "is a directory",
        tmp_path / "pipe": "is not a file",
        "\0": "is not there",
    }.items():
        with pytest.raises(PictureError, match=reason):
            decode.read(path)


def test_too_many_bytes(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.write(png(0, 8, np.zeros((1, 1, 1), np.uint8)))
        file.truncate(decode.MAX_BYTES + 1)  # Takes no room on the disk.
    with pytest.raises(PictureError, match="bytes; the most is"):
        decode.read(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_whatever_is_cut_or_changed_never_crashes(tmp_path, colors, kind):
    path = save(tmp_path / "a", Image.fromarray(colors), kind)
    content = path.read_bytes()
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(100):
        broken = bytearray(content[: random.integers(1, len(content))])
        if random.random() < 0.5:
            broken = bytearray(content)
            for at in random.integers(0, len(content), 5):
                broken[at] = random.integers(256)
        path.write_bytes(broken)
        try:
            decode.read(path)
        except PictureError as error:
            refused += 1
            assert str(error).startswith(("is ", "has "))
    assert refused > 30


def test_reading_within_a_graph(tmp_path, colors):
    path = save(tmp_path / "a.jpg", Image.fromarray(colors), "JPEG")
    with tf.Graph().as_default() as graph, tf.Session():
        assert decode.read(path).shape == colors.shape
    assert not graph.get_operations()


def test_many_threads(shared_data):
    paths = [
        shared_data / "odd_images" / name
        for name, row in ODD.items()
        if not isinstance(row, str)
    ]
    expected = [decode.read(path) for path in paths]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for picture, one in zip(
            pool.map(decode.read, paths * 10), expected * 10, strict=True
        ):
            np.testing.assert_array_equal(picture, one)


def test_bombs_take_no_memory(shared_data):
    program = """
import pathlib, resource, sys
from slimbase.pictures import decode, isolated
odd = pathlib.Path(sys.argv[1])
for name in ("transparent.png", "hopper_gray.jpg", "dispose_none.gif"):
    decode.read(odd / name)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in odd.iterdir():
    try:
        decode.read(path)
    except decode.PictureError:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", program, shared_data / "odd_images"],
        cwd=testing.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    # The largest, of 2544 by 3300 pixels, is truncated and takes 25 MB when tried.
    assert int(result.stdout) < 100_000


def test_too_many_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 99)
    path = save(tmp_path / "a", Image.new("RGB", (10, 10)), "PNG")
    with pytest.raises(PictureError, match="has 100 pixels; the most is 99"):
        decode.read(path)


def jpeg(image, **options):
    content = io.BytesIO()
    image.save(content, "JPEG", quality=95, **options)
    return content.getvalue()


def test_a_profile_is_applied():
    rows, columns = np.mgrid[:40, :60]
    colors = np.stack([6 * rows, 4 * columns, 255 - 6 * rows], -1).astype(np.uint8)
    adobe = testing.color_profile("Adobe RGB")
    srgb = testing.color_profile("sRGB")
    image = Image.fromarray(colors)
    expected = ImageCms.profileToProfile(
        *(image, *map(io.BytesIO, (adobe, srgb))),
        renderingIntent=ImageCms.Intent.PERCEPTUAL,
    )
    changes = (decode.CONVERTED,)
    for kind, options in {
        "JPEG": {"quality": 100, "subsampling": 0},
        "PNG": {},
        "TIFF": {},
        "WEBP": {"lossless": True},
    }.items():
        content = io.BytesIO()
        image.save(content, kind, icc_profile=adobe, **options)
        seen = decode.picture(content.getvalue())
        difference = np.abs(seen.pixels.astype(int) - np.asarray(expected))
        if kind == "JPEG":
            assert difference.mean() < 2
        else:
            assert difference.max() <= 2, kind
        assert seen.changes == changes
        content = io.BytesIO()
        image.save(content, kind, icc_profile=srgb, **options)
        seen = decode.picture(content.getvalue())
        assert np.abs(seen.pixels.astype(int) - colors).mean() < 2
        assert seen.changes == ()


def test_a_profile_leaves_transparency(colors):
    alpha = np.full((*colors.shape[:2], 1), 255, np.uint8)
    alpha[:4] = 0
    image = Image.fromarray(np.concatenate([colors, alpha], -1))
    content = io.BytesIO()
    image.save(content, "PNG", icc_profile=testing.color_profile("ProPhoto RGB"))
    seen = decode.picture(content.getvalue())
    assert (seen.pixels[:4] == 255).all()
    assert np.abs(seen.pixels[4:].astype(int) - colors[4:]).max() > 30


def test_a_profile_that_does_not_fit_is_ignored(colors):
    plain = decode.decode(jpeg(Image.fromarray(colors)))
    for profile in (b"nonsense", testing.color_profile("Adobe RGB")[:200]):
        content = jpeg(Image.fromarray(colors), icc_profile=profile)
        np.testing.assert_array_equal(decode.decode(content), plain)
    gray = Image.fromarray(colors).convert("L")
    content = jpeg(gray, icc_profile=testing.color_profile("Adobe RGB"))
    np.testing.assert_array_equal(decode.decode(content), decode.decode(jpeg(gray)))


# What is to be seen, as in `ODD`; of HDR, as Pillow has it, without a change of range.
PHONE = {
    # A street at night; the fox; flowers; black; a gradient; a dinosaur; a dog.
    "cheers_1440x960.heic": ((960, 1440), (20, 30, (192, 144, 119))),
    "fox.avif": ((800, 1204), (400, 602, (73, 107, 138))),
    "gray8.tif": ((43, 73), (21, 36, (43, 43, 43)), (20, 30, (56, 56, 56))),
    "gray_exif.heic": ((64, 64), (30, 30, BLACK)),
    "hdr_rec2020.avif": ((200, 200), (100, 100, (139, 135, 84))),
    "photo.heic": ((476, 700), (238, 350, (78, 62, 37)), (5, 5, WHITE)),
    "pug.heic": ((64, 64), (32, 32, (10, 10, 10)), (5, 5, (252, 252, 252))),
    "rgb16.tif": ((43, 73), (21, 36, (39, 50, 20)), (31, 67, (135, 118, 82))),
    "rgb16_planar.tif": ((43, 73), (21, 36, (39, 50, 20)), (31, 67, (135, 118, 82))),
    "rotated.avif": ((512, 256), (256, 128, BLACK), (500, 250, WHITE)),  # abc, upwards.
    "srgb_800x600.avif": ((600, 800), (300, 400, (255, 106, 0))),
    "truncated.heic": "is truncated",
}


def test_every_photo_of_phones_has_a_row(shared_data):
    assert {p.name for p in (shared_data / "phone_photos").iterdir()} == set(PHONE)


@pytest.mark.parametrize("name", PHONE)
def test_photo_of_a_phone(shared_data, name):
    path, expected = shared_data / "phone_photos" / name, PHONE[name]
    if isinstance(expected, str):
        with pytest.raises(PictureError, match=expected):
            decode.read(path)
        return
    size, *places = expected
    seen = decode.picture(decode.load(path))
    assert seen.pixels.shape == (*size, 3)
    for row, column, color in places:
        np.testing.assert_allclose(seen.pixels[row, column], color, atol=3)
    pi_heif.register_heif_opener(thumbnails=False)
    with Image.open(path) as image:
        other = ImageOps.exif_transpose(image).convert("RGBA")
    white = Image.new("RGBA", other.size, "white")
    other = Image.alpha_composite(white, other).convert("RGB")
    if name != "rgb16_planar.tif":  # Which Pillow misreads.
        assert np.abs(seen.pixels.astype(int) - np.asarray(other)).mean() < 1
    assert (decode.TAKEN_FOR_SRGB in seen.changes) == (name == "hdr_rec2020.avif")
    assert (decode.TURNED in seen.changes) == (name == "rotated.avif")


def test_heic_without_its_package(shared_data, monkeypatch):
    """The decoders are processes, so they are given an empty package instead."""
    content = decode.load(shared_data / "phone_photos" / "pug.heic")
    monkeypatch.setattr(
        isolated,
        "_PROGRAM",
        f"import sys; sys.modules['pi_heif'] = None; {isolated._PROGRAM}",
    )
    monkeypatch.setattr(isolated, "_idle", [])
    with pytest.raises(PictureError) as error:
        decode.decode(content)
    assert str(error.value).startswith("is a HEIC, which needs the package pi-heif: ")
    assert str(error.value).endswith("pip install pi-heif")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
def test_tiff_of_16_bits(order, planar, packed, samples):
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, samples))
    content = tiff(values.astype(f"{order}u2"), order, planar, packed)
    seen = decode.decode(content)
    assert np.abs(seen - values / 257).max() <= 1  # Pillow drops the lower eight bits.


def tiff(values, order, planar, packed):
    """A TIFF (6.0) of `values`: uint16 `[height, width, samples]` in this order."""
    height, width, samples = values.shape
    planes = np.moveaxis(values, -1, 0) if planar else values[np.newaxis]
    strips = [zlib.compress(p.tobytes()) if packed else p.tobytes() for p in planes]
    count = len(strips)
    directory = 8
    tags = [
        *((256, 3, [width]), (257, 3, [height]), (258, 3, [16] * samples)),
        *((259, 3, [8 if packed else 1]), (262, 3, [1 if samples == 1 else 2])),
        *((273, 4, [0] * count), (277, 3, [samples]), (278, 3, [height])),
        *((279, 4, list(map(len, strips))), (284, 3, [2 if planar else 1])),
    ]
    place = directory + 2 + 12 * len(tags) + 4
    more, entries, starts = b"", b"", {}
    for tag, kind, numbers in tags:
        value = struct.pack(
            f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers
        )
        if len(value) > 4:
            starts[tag] = place + len(more)
            more += value
            value = struct.pack(f"{order}I", starts[tag])
        entries += struct.pack(f"{order}HHI", tag, kind, len(numbers))
        entries += value.ljust(4, b"\0")
    begin = place + len(more)
    offsets = [begin + sum(map(len, strips[:i])) for i in range(count)]
    packed_offsets = struct.pack(f"{order}{count}I", *offsets)
    if 273 in starts:
        at = starts[273] - place
        more = more[:at] + packed_offsets + more[at + 4 * count :]
    else:
        at = 12 * [tag for tag, *_ in tags].index(273) + 8
        entries = entries[:at] + packed_offsets + entries[at + 4 :]
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", directory, len(tags))
    return head + entries + bytes(4) + more + b"".join(strips)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_tiff_of_other_numbers_is_refused(mode):
    content = io.BytesIO()
    Image.new(mode, (4, 4)).save(content, "TIFF")
    with pytest.raises(PictureError, match=f"has pixels of the mode {mode}: convert"):
        decode.decode(content.getvalue())


def test_raw_files_of_cameras_are_refused():
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "TIFF", tiffinfo={254: 1})
    with pytest.raises(PictureError, match="is a camera's raw file, which is not read"):
        decode.decode(content.getvalue())


def test_first_page_of_tiff(colors):
    content, other = io.BytesIO(), Image.new("RGB", (3, 3))
    Image.fromarray(colors).save(content, "TIFF", save_all=True, append_images=[other])
    np.testing.assert_array_equal(decode.decode(content.getvalue()), colors)


def test_jpeg_2000(colors):
    content = io.BytesIO()
    Image.fromarray(colors).save(content, "JPEG2000")
    np.testing.assert_array_equal(decode.decode(content.getvalue()), colors)


def test_needless_bytes_before_a_table_do_no_harm(colors):
    plain = jpeg(Image.fromarray(colors))
    at = plain.index(b"\xff\xdb")
    filled = plain[:at] + b"\0\0" + plain[at:]
    np.testing.assert_array_equal(decode.decode(filled), decode.decode(plain))
    with pytest.raises(PictureError, match="is truncated"):
        decode.decode(filled[: len(filled) // 2])
    middle = (filled.index(b"\xff\xda") + len(filled)) // 2
    harmed = filled[:middle] + b"\xff\xd8\xff\xe0" + filled[middle + 4 :]
    with pytest.raises(PictureError, match="is damaged"):
        decode.decode(harmed)


def test_too_many_scans(colors):
    content = io.BytesIO()
    Image.fromarray(colors).save(content, "JPEG", progressive=True)
    plain = content.getvalue()
    at = plain.rindex(b"\xff\xda")
    scan = plain[at:-2]
    with pytest.raises(PictureError, match="has 210 scans, which take long to decode"):
        decode.decode(plain[:-2] + scan * 200 + plain[-2:])


def test_too_many_pixels_are_not_decoded():
    """The header says so; of the pixels there are none."""
    for color_type in (0, 2, 3, 6):
        content = png(color_type, 8, np.zeros((1, 1, 1), np.uint8))
        header = struct.pack(">II", 20_000, 20_000)
        content = content[:16] + header + content[24:]
        with pytest.raises(PictureError, match="has 400,000,000 pixels; the most is"):
            decode.decode(content)
