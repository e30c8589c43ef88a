"""Images of files: every mode as grey or colour bytes, in one size and position."""

from pathlib import Path

import numpy as np
import pytest
from data.made_files import write_image
from PIL import Image

from kscale.data.readers import ImageReader, reader_from_json
from kscale.data.readers.image_files import ImageHeader, image_header
from kscale.errors import DataError

GREY = ImageReader(height=6, width=8, channels=1)
COLOUR = ImageReader(height=6, width=8)


def pixels(*shape: int, seed: int = 0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff"])
def test_lossless_formats_give_their_pixels(tmp_path: Path, suffix: str) -> None:
    path = write_image(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(COLOUR.array(path), pixels(6, 8, 3))
    path = write_image(tmp_path / f"grey.{suffix}", mode="L")
    np.testing.assert_array_equal(GREY.array(path), pixels(6, 8)[..., None])


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp", "gif"])
def test_lossy_formats_give_nearly_their_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (8, 6), (200, 40, 40)).save(path)
    assert np.abs(COLOUR.array(path).astype(int) - (200, 40, 40)).max() <= 4


def test_grey_images_are_read_in_colour_and_the_other_way_round(tmp_path: Path) -> None:
    grey = write_image(tmp_path / "grey.png", mode="L")
    same = np.repeat(pixels(6, 8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(COLOUR.array(grey), same)
    Image.new("RGB", (8, 6), (255, 0, 0)).save(tmp_path / "red.png")
    # ITU-R 601-2: L = 0.299 R + 0.587 G + 0.114 B.
    assert (GREY.array(tmp_path / "red.png") == round(255 * 0.299)).all()


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", mode="I;16")
    np.testing.assert_array_equal(GREY.array(path), pixels(6, 8)[..., None])
    assert image_header(path).is_grey


@pytest.mark.parametrize("mode", ["P", "1", "CMYK", "LA", "RGBA"])
def test_other_modes_are_read(tmp_path: Path, mode: str) -> None:
    path = write_image(tmp_path / "a.tif", mode=mode)
    assert COLOUR.array(path).shape == (6, 8, 3)
    assert GREY.array(path).shape == (6, 8, 1)
    assert image_header(path).is_grey == (mode in ("1", "LA"))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 6), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    image.save(tmp_path / "a.png")
    found = GREY.array(tmp_path / "a.png")
    assert found[0, 0] == 0 and (found.reshape(-1)[1:] == 255).all()


def test_a_transparent_colour_of_a_palette_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 6), 0)
    image.putpalette([9, 9, 9, 200, 0, 0])
    image.save(tmp_path / "a.gif", transparency=0)
    assert (COLOUR.array(tmp_path / "a.gif") == 255).all()


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 6), shade) for shade in (10, 90, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (GREY.array(tmp_path / "a.gif") == 10).all()


def test_the_orientation_of_a_camera_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat([[0], [255]], 4, axis=0).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the left
    image = image.resize((16, 8), Image.Resampling.NEAREST)
    image.save(tmp_path / "a.png", exif=exif)
    assert image_header(tmp_path / "a.png") == ImageHeader(16, 8, True)
    upright = ImageReader(height=16, width=8, channels=1).array(tmp_path / "a.png")
    plain = np.asarray(image)
    np.testing.assert_array_equal(upright[..., 0], np.rot90(plain, -1))


@pytest.mark.parametrize(
    ("resize", "edges"),
    [("crop", (255, 255)), ("pad", (0, 0)), ("stretch", (0, 0))],
)
def test_a_wide_image_is_cut_padded_or_stretched(
    tmp_path: Path, resize: str, edges: tuple[int, int]
) -> None:
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 255  # white in the middle third, black beside it
    Image.fromarray(wide).save(tmp_path / "a.png")
    reader = ImageReader(height=8, width=8, channels=1, resize=resize)
    found = reader.array(tmp_path / "a.png")[..., 0]
    assert (found[4, 0], found[4, -1]) == edges
    assert found[4, 4] == 255
    assert (found[0, 4] == 0) == (resize == "pad")


def test_a_large_jpeg_is_read_as_if_decoded_whole(tmp_path: Path) -> None:
    slope = np.linspace(0, 255, 512)[:, None] * np.ones((1, 640))
    Image.fromarray(slope.astype(np.uint8)).save(tmp_path / "a.jpg")
    reader = ImageReader(height=32, width=40, channels=1)
    whole = Image.fromarray(slope.astype(np.uint8)).resize(
        (40, 32), Image.Resampling.BILINEAR
    )
    found = reader.array(tmp_path / "a.jpg")[..., 0]
    assert np.abs(found - np.asarray(whole, dtype=int)).max() < 4


def damaged(path: Path) -> dict[str, bytes]:
    whole = path.read_bytes()
    return {
        "empty": b"",
        "text": b"no image",
        "header": whole[:40],
        "truncated": whole[: len(whole) // 2],
    }


@pytest.mark.parametrize("case", ["empty", "text", "header", "truncated"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tif"])
def test_a_damaged_image_names_the_file(tmp_path: Path, suffix: str, case: str) -> None:
    path = write_image(tmp_path / f"broken.{suffix}", 40, 60)
    path.write_bytes(damaged(path)[case])
    match = f"broken.{suffix} cannot be read as an image: .+ Mend or remove it.$"
    with pytest.raises(DataError, match=match) as caught:
        ImageReader(height=40, width=60).array(path)
    assert "\n" not in str(caught.value)
    (example,) = COLOUR.examples(path)
    assert example.raw is None and f"broken.{suffix}" in example.error


def test_real_numbers_have_no_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((6, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="a.tif holds real numbers, .* 8 or 16 bits"):
        COLOUR.array(tmp_path / "a.tif")


def test_a_file_is_an_example_and_one_that_is_missing_is_reported(
    tmp_path: Path,
) -> None:
    reader = reader_from_json(COLOUR.to_json())
    assert reader == COLOUR
    path = write_image(tmp_path / "a.png")
    (example,) = reader.examples(path)
    assert example.source == str(path)
    np.testing.assert_array_equal(example.raw["image"], pixels(6, 8, 3))
    (missing,) = reader.examples(tmp_path / "b.png")
    assert missing.raw is None and "b.png. Did you mean" in missing.error
