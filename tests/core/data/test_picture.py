"""Ready-made slices: grey levels as they were meant, and damaged pictures refused."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.data.findings import code_of
from core.data.picture import (
    load_picture,
    read_picture,
    read_picture_header,
    read_picture_size,
)
from core.errors import ScanError

GREY = np.arange(120, dtype=np.uint8).reshape(10, 12)


def codes(path):
    return [code_of(item) for item in load_picture(path).findings]


def test_that_a_grey_picture_passes_through(tmp_path, write_picture):
    path = write_picture(tmp_path / "s1.png")
    assert np.array_equal(read_picture(path), np.asarray(Image.open(path)))
    assert read_picture_size(path) == (12, 16)


def test_that_a_16_bit_picture_is_scaled_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16)).save(tmp_path / "s.png")
    assert read_picture(tmp_path / "s.png").tolist() == [[0, 128, 255]]


def test_that_an_exif_rotation_is_applied(tmp_path):
    picture = Image.fromarray(np.zeros((12, 16), dtype=np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6  # "rotate by 90 degrees"
    picture.save(tmp_path / "s.jpg", exif=exif)
    assert read_picture(tmp_path / "s.jpg").shape == (16, 12)


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA", "LA"])
def test_that_other_picture_modes_become_grey(tmp_path, mode):
    Image.new("L", (6, 5), 255).convert(mode).save(tmp_path / "s.png")
    assert (read_picture(tmp_path / "s.png") == 255).all()


def png_header(width, height) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"no picture", "not a JPEG|no readable JPEG"),
        (b"GIF89a" + bytes(50), "not a JPEG|no readable JPEG"),
        (png_header(9000, 9000), "more than 64 megapixels"),
        (png_header(2**31 - 1, 2**31 - 1), "more than 64 megapixels"),
    ],
)
def test_that_a_bad_picture_is_refused_in_plain_words(tmp_path, assert_plain, content, word):
    path = tmp_path / "s1.png"
    path.write_bytes(content)
    for read in (read_picture, read_picture_size):
        with pytest.raises(ScanError, match=word) as caught:
            read(path)
        assert_plain(caught.value, "'s1.png'")


def test_that_a_missing_picture_is_told(tmp_path, assert_plain):
    with pytest.raises(ScanError, match="no longer there") as caught:
        read_picture(tmp_path / "s1.png")
    assert_plain(caught.value, "'s1.png'")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_that_a_cut_picture_is_refused(tmp_path, write_picture, assert_plain, suffix):
    path = write_picture(tmp_path / f"s1{suffix}")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ScanError) as caught:
        read_picture(path)
    assert_plain(caught.value, path.name)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
def test_that_a_tiff_of_8_bits_passes_through(tmp_path, compression, suffix):
    path = tmp_path / f"s1{suffix}"
    Image.fromarray(GREY).save(path, "TIFF", compression=compression)
    assert np.array_equal(read_picture(path), GREY)
    assert codes(path) == []


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_that_a_tiff_of_16_bits_is_scaled_in_either_byte_order(tmp_path, mode):
    values = np.array([[0, 32768], [65535, 257]], dtype=np.uint16)
    stored = values.astype(">u2" if mode.endswith("B") else "<u2")
    Image.frombytes(mode, (2, 2), stored.tobytes()).save(tmp_path / "s.tif")
    assert read_picture(tmp_path / "s.tif").tolist() == [[0, 128], [255, 1]]


def test_that_of_a_tiff_with_pages_the_first_is_used_and_told(tmp_path):
    pages = [Image.fromarray(GREY + page) for page in (0, 50, 100)]
    pages[0].save(tmp_path / "s.tif", save_all=True, append_images=pages[1:])
    assert np.array_equal(read_picture(tmp_path / "s.tif"), GREY)
    assert codes(tmp_path / "s.tif") == ["frame_used"]


def test_that_a_tiff_of_decimal_numbers_is_refused(tmp_path, assert_plain):
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "s.tif")
    with pytest.raises(ScanError, match="decimal") as caught:
        read_picture(tmp_path / "s.tif")
    assert_plain(caught.value, "'s.tif'")


def test_that_a_turned_picture_is_told(tmp_path):
    picture = Image.fromarray(GREY)
    exif = picture.getexif()
    exif[0x0112] = 3  # "upside down"
    picture.save(tmp_path / "s.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "s.png"), GREY[::-1, ::-1])
    assert codes(tmp_path / "s.png") == ["exif_rotation"]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("value", range(1, 9))
def test_that_every_exif_orientation_is_applied_as_pillow_does(tmp_path, value, suffix):
    picture = Image.fromarray(GREY)
    exif = picture.getexif()
    exif[0x0112] = value
    picture.save(tmp_path / "s.png", exif=exif)
    picture.save(tmp_path / f"s{suffix}", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "s.png")))
    assert np.array_equal(read_picture(tmp_path / f"s{suffix}"), expected)
    assert read_picture_header(tmp_path / f"s{suffix}").shape == expected.shape


def test_that_a_tiff_with_missing_strips_is_refused(tmp_path, assert_plain):
    # Found by the fuzzer (seed 2, number 993): Pillow leaves the missing rows black.
    path = tmp_path / "s.tif"
    Image.fromarray(GREY).save(path)
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<HH", 257, 4))
    struct.pack_into("<HHII", data, place, 257, 4, 1, 4_000_010)
    path.write_bytes(bytes(data))
    for read in (read_picture, read_picture_size):
        with pytest.raises(ScanError, match="damaged") as caught:
            read(path)
        assert_plain(caught.value, "'s.tif'")


def test_that_a_large_picture_takes_little_more_than_its_pixels(tmp_path):
    levels = np.arange(3_000_000, dtype=np.uint32).reshape(1500, 2000) % 60_000
    Image.fromarray(levels.astype(np.uint16)).save(tmp_path / "s.tif", compression="tiff_lzw")
    read_picture(tmp_path / "s.tif")
    tracemalloc.start()
    grey = read_picture(tmp_path / "s.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.allclose(grey, levels * (255 / 59_999), atol=0.51)
    assert peak < 30_000_000


@pytest.mark.parametrize(("suffix", "told"), [(".png", []), (".jpg", [])])
def test_that_grey_in_three_channels_is_no_colour(tmp_path, suffix, told):
    path = tmp_path / f"s{suffix}"
    Image.fromarray(np.stack([GREY] * 3, axis=-1)).save(path)
    assert codes(path) == told


def test_that_colours_are_told(tmp_path):
    Image.fromarray(np.stack([GREY, GREY // 2, GREY], axis=-1)).save(tmp_path / "s.png")
    assert codes(tmp_path / "s.png") == ["colour"]


@pytest.mark.parametrize(
    ("levels", "code"), [(np.full((4, 5), 9), "constant"), (np.eye(4) * 255, "looks_like_mask")]
)
def test_that_a_picture_without_contrast_is_told(tmp_path, levels, code):
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "s.png")
    assert codes(tmp_path / "s.png") == [code]


def test_that_see_through_pixels_are_black(tmp_path):
    alpha = np.where(np.arange(12) < 6, 255, 0).astype(np.uint8) * np.ones((10, 1), dtype=np.uint8)
    Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]).save(tmp_path / "s.png")
    assert np.array_equal(read_picture(tmp_path / "s.png"), np.where(alpha > 0, GREY, 0))


@pytest.mark.parametrize("kept", [-1, -12, -14, -17, -20])
def test_that_a_png_cut_behind_its_last_pixel_is_refused(tmp_path, assert_plain, kept):
    # The last chunk, and the checksums before it, which decoders do not look at.
    path = tmp_path / "s.png"
    Image.fromarray(GREY).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ScanError, match="damaged") as caught:
        read_picture(path)
    assert_plain(caught.value, "'s.png'")


def test_that_a_single_pixel_is_too_small(tmp_path, assert_plain):
    Image.fromarray(GREY[:1, :1]).save(tmp_path / "s.png")
    with pytest.raises(ScanError, match="too small") as caught:
        read_picture_size(tmp_path / "s.png")
    assert_plain(caught.value, "'s.png'")


@pytest.mark.parametrize("name", ["slices.zip", "slices.tar.gz"])
def test_that_an_archive_is_to_be_unpacked_first(tmp_path, assert_plain, name):
    # Faults X6.
    (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(ScanError, match="Unpack it first") as caught:
        read_picture(tmp_path / name)
    assert_plain(caught.value, f"'{name}'")


# What is known before decoding


def header_codes(path):
    return [code_of(item) for item in read_picture_header(path).findings]


def test_that_a_header_tells_size_and_kind_of_number(tmp_path, write_picture):
    header = read_picture_header(write_picture(tmp_path / "s1.png"))
    assert (header.shape, header.datatype) == ((12, 16), "uint8")
    assert not header.has_channels
    assert header.findings == ()
    Image.fromarray(np.zeros((5, 6), dtype=np.uint16)).save(tmp_path / "deep.png")
    assert read_picture_header(tmp_path / "deep.png").datatype == "uint16"
    assert header_codes(tmp_path / "deep.png") == ["depth_scaled"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_that_a_header_tells_that_exif_data_turn_the_picture(tmp_path, suffix):
    picture = Image.fromarray(np.zeros((12, 16), dtype=np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / f"s{suffix}", exif=exif)
    assert read_picture_header(tmp_path / f"s{suffix}").shape == (16, 12)
    assert header_codes(tmp_path / f"s{suffix}") == ["exif_rotation"]


def test_that_a_header_is_read_without_decoding(tmp_path, monkeypatch):
    Image.new("RGB", (16, 12), "red").save(tmp_path / "s.png")
    monkeypatch.setattr(Image.Image, "load", lambda _self: pytest.fail("decoded"))
    assert read_picture_header(tmp_path / "s.png").has_channels


@pytest.mark.parametrize(
    ("mode", "told"), [("P", ["palette"]), ("LA", ["transparency"]), ("RGBA", ["transparency"])]
)
def test_that_palettes_and_see_through_parts_are_told(tmp_path, mode, told):
    Image.new(mode, (16, 12)).save(tmp_path / "s.png")
    assert header_codes(tmp_path / "s.png") == told
