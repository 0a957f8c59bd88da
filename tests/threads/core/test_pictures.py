"""Pictures are read whole before they are stored, and made such that every model accepts them."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import animation, declaring, flipped, half, opened, picture
from threads.core import pictures
from threads.core.pictures import (
    BYTES,
    KEPT,
    SIDE,
    BadPicture,
    PictureDamaged,
    PictureTooLarge,
    is_picture,
    name_with_suffix,
    read_picture,
)

PHOTO = picture("JPEG", (800, 600))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(picture("PNG"), id="PNG"),
        pytest.param(picture("PNG", mode="RGBA"), id="transparent"),
        pytest.param(picture("PNG", mode="P"), id="with a palette"),
        pytest.param(picture("PNG", mode="1"), id="black and white"),
        pytest.param(picture("PNG", (SIDE, SIDE)), id="as large as allowed"),
        pytest.param(PHOTO, id="JPEG"),
        pytest.param(picture("JPEG", mode="L"), id="grey JPEG"),
    ],
)
def test_what_every_model_takes_is_kept_byte_for_byte(data):
    read = read_picture(data)

    assert (read.data, read.note) == (data, "")
    assert (read.width, read.height) == opened(data).size


@pytest.mark.parametrize(
    ("make", "media_type", "size", "note"),
    [
        pytest.param(
            lambda: picture("PNG", (300, 8570)),
            "image/png",
            (70, 2000),
            "Scaled down from 300 × 8570 to 70 × 2000 pixels",
            id="a long screenshot",
        ),
        pytest.param(
            lambda: picture("JPEG", (4000, 3000), turned=6),
            "image/jpeg",
            (1500, 2000),
            "Scaled down from 3000 × 4000 to 1500 × 2000 pixels",
            id="a photo held upright",
        ),
        pytest.param(
            lambda: picture("HEIF", (3000, 1500)),
            "image/jpeg",
            (2000, 1000),
            "Converted from HEIC to JPEG; scaled down from 3000 × 1500 to 2000 × 1000 pixels",
            id="HEIC",
        ),
        pytest.param(
            lambda: animation("GIF"),
            "image/png",
            (50, 50),
            "Only the first frame of the animation is used; converted from GIF to PNG",
            id="an animated GIF",
        ),
        pytest.param(
            lambda: animation("WEBP"),
            "image/png",
            (50, 50),
            "Only the first frame of the animation is used; converted from WebP to PNG",
            id="an animated WebP",
        ),
        pytest.param(
            lambda: animation("PNG"),
            "image/png",
            (50, 50),
            "Only the first frame of the animation is used",
            id="an animated PNG",
        ),
        pytest.param(
            lambda: picture("AVIF"),
            "image/jpeg",
            (60, 40),
            "Converted from AVIF to JPEG",
            id="AVIF",
        ),
    ],
)
def test_any_other_picture_is_changed_and_that_is_said(make, media_type, size, note):
    read = read_picture(make())

    assert (read.media_type, read.width, read.height, read.note) == (media_type, *size, note)
    assert opened(read.data).size == size
    assert opened(read.data).mode in ("L", "RGB", "RGBA")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(picture("JPEG", (300, 100), turned=6), id="turned"),
        pytest.param(picture("JPEG", mode="CMYK"), id="CMYK"),
        pytest.param(picture("PNG", mode="I;16"), id="16 bits"),
        pytest.param(flipped(picture("PNG"), -14), id="a wrong checksum"),
        pytest.param(picture("PNG")[:-5], id="only its end mark is missing"),
    ],
)
def test_what_looks_the_same_afterwards_has_no_note(data):
    read = read_picture(data)

    assert read.data != data
    assert read.note == ""
    assert (read.width, read.height) == opened(read.data).size


def test_a_turned_picture_stands_upright():
    read = read_picture(picture("JPEG", (300, 100), turned=6))

    assert (read.width, read.height) == (100, 300)
    assert opened(read.data).getexif().get(0x0112, 1) == 1


def test_sixteen_bits_of_grey_stay_the_same_grey():
    read = read_picture(picture("PNG", mode="I;16", colour=40_000))

    assert opened(read.data).getpixel((0, 0)) == 40_000 // 256


def test_a_transparent_picture_stays_transparent():
    read = read_picture(picture("WEBP", mode="RGBA", colour=(255, 0, 0, 0), lossless=True))

    assert opened(read.data).getpixel((0, 0))[3] == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_that_can_not_be_compressed_still_fits(tmp_path, mode):
    noise = Image.frombytes(mode, (1500, 1500), os.urandom(1500 * 1500 * len(mode)))
    noise.save(tmp_path / "noise.png", compress_level=0)

    read = read_picture((tmp_path / "noise.png").read_bytes())

    assert len(read.data) <= BYTES
    assert opened(read.data).size == (read.width, read.height)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: picture("PNG")[:28], id="28 bytes of a PNG"),
        pytest.param(lambda: half(PHOTO), id="half a JPEG"),
        pytest.param(lambda: PHOTO[:-20], id="a JPEG whose end is missing"),
        pytest.param(lambda: half(picture("PNG", (900, 900))), id="half a PNG"),
        pytest.param(lambda: half(picture("WEBP")), id="half a WebP"),
        pytest.param(lambda: half(picture("HEIF", (600, 400))), id="half a HEIC"),
        pytest.param(lambda: half(picture("AVIF", (600, 400))), id="half an AVIF"),
        pytest.param(lambda: b"\x89PNG\r\n\x1a\n" + b"text" * 20, id="only the signature"),
        pytest.param(lambda: b"no picture at all", id="a text"),
    ],
)
def test_a_damaged_picture_is_found(make):
    data = make()

    with pytest.raises(PictureDamaged):
        read_picture(data)


def test_too_many_pixels_are_refused_by_the_header_alone(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))

    for data in (declaring(10_000, 6_000), declaring(60_000, 60_000)):
        with pytest.raises(PictureTooLarge):
            read_picture(data)


def test_a_phone_s_48_megapixels_are_read():
    assert pictures.PIXELS >= 8064 * 6048


@given(
    st.sampled_from([PHOTO, picture("PNG"), picture("GIF", mode="P"), picture("WEBP")]),
    st.integers(0, 400),
    st.binary(max_size=30),
)
def test_any_bytes_are_a_good_picture_or_refused(data, at, put):
    broken = data[:at] + put + data[at + len(put) :]
    try:
        read = read_picture(broken)
    except BadPicture:
        return
    assert read.media_type in KEPT
    assert opened(read.data).size == (read.width, read.height)


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        pytest.param("IMG_1.HEIC", "image/jpeg", "IMG_1.jpg", id="converted"),
        pytest.param("a.png", "image/jpeg", "a.jpg", id="a wrong suffix"),
        pytest.param("a.JPEG", "image/jpeg", "a.JPEG", id="the right one"),
        pytest.param("shot", "image/png", "shot", id="none"),
        pytest.param("v1.2", "image/png", "v1.2", id="not a suffix"),
    ],
)
def test_a_name_has_the_suffix_of_what_is_stored(name, media_type, expected):
    assert name_with_suffix(name, media_type) == expected


def test_only_pictures_begin_as_one():
    assert is_picture(picture("HEIF"))
    assert not is_picture(b"RIFF\n\x00\x00\x00WAVEfmt ")
