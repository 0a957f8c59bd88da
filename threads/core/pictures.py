"""Pictures as every model accepts them: read whole, turned upright, and scaled down.

A provider refuses a picture that it can't decode, or that is too large; and since each request
repeats the conversation, it would refuse every later message too. So a picture is decoded before
it is stored or sent. Pillow takes a moment to import: the first picture does.

The limits are the strictest of the providers':

* Anthropic: 8000 pixels on a side, but 2000 if a request has more than 20 pictures, and 5 MB of
  Base64 (platform.claude.com/docs/en/build-with-claude/vision). It ignores EXIF orientation.
* OpenAI: PNG, JPEG, WebP and GIF without animation
  (developers.openai.com/api/docs/guides/images-vision).
* Gemini: PNG, JPEG, WebP and HEIC, no GIF (ai.google.dev/gemini-api/docs/image-understanding).
* Servers compatible with OpenAI's API: PNG and JPEG are what all of them decode.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from dataclasses import dataclass
from typing import Any, Final

SIDE: Final = 2_000  # pixels
BYTES: Final = 3_750_000  # 5 MB as Base64
PIXELS: Final = 50_000_000  # of a picture that is decoded: phones take 48 megapixels
QUALITIES: Final = (88, 75, 60)  # of JPEG, tried in this order until the picture is small enough

PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
KEPT: Final = (PNG, JPEG)  # the media types of ``Picture``

# Pillow's format of the bytes at the start, its name for people, and whether it has lost detail
# already: then it is stored as JPEG.
_HEIF_BRANDS: Final = rb"heic|heix|heim|heis|hevc|hevx|mif1|msf1"
_FORMATS: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG", "PNG", False),
    (re.compile(rb"\xff\xd8\xff"), "JPEG", "JPEG", True),
    (re.compile(rb"GIF8[79]a"), "GIF", "GIF", False),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WEBP", "WebP", False),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "AVIF", "AVIF", True),
    (re.compile(rb"....ftyp(?:%b)" % _HEIF_BRANDS, re.DOTALL), "HEIF", "HEIC", True),
)
# The modes of Pillow that a model's decoder knows too.
_PLAIN_MODES: Final = {
    "PNG": frozenset({"1", "L", "LA", "P", "RGB", "RGBA"}),
    "JPEG": frozenset({"L", "RGB"}),
}
_SUFFIXES: Final = {PNG: (".png",), JPEG: (".jpg", ".jpeg")}
_PICTURE_SUFFIX: Final = re.compile(r"\.(png|jpe?g|jfif|gif|webp|avif|heic|heif|hif)$", re.I)
_BIT_DEPTH: Final = 24  # the offset of the bit depth in a PNG
_ORIENTATION: Final = 0x0112  # the EXIF tag
# Memory: a decoded picture may take 200 MB.
_one_at_a_time: Final = threading.Lock()


class BadPicture(Exception):
    """The bytes are no picture that a model could see."""


class PictureDamaged(BadPicture):
    """It can't be decoded, or not whole."""


class PictureTooLarge(BadPicture):
    """It has more than ``PIXELS``."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of type PNG or JPEG. ``note`` says for people how it differs from what was given;
    empty if it doesn't."""

    data: bytes
    media_type: str
    width: int
    height: int
    note: str = ""


def is_picture(data: bytes) -> bool:
    """Return whether the bytes begin as a picture does whose type ``read_picture`` knows."""
    return _format_of(data) is not None


def read_picture(data: bytes) -> Picture:
    """Return the picture as every model accepts it: ``data`` itself if possible.

    Its size is read from the header and limited before anything is decoded.

    Raises:
        PictureDamaged, PictureTooLarge.
    """
    found = _format_of(data)
    if found is None:
        raise PictureDamaged
    kind, title, is_lossy = found
    from PIL.Image import DecompressionBombError

    if kind == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what is checked here
        try:
            return _read(data, kind, title, is_lossy=is_lossy)
        except BadPicture:
            raise
        except DecompressionBombError as exc:  # Pillow's own limit is higher than ``PIXELS``
            raise PictureTooLarge from exc
        except Exception as exc:  # the decoders raise arbitrary exceptions for malformed bytes
            raise PictureDamaged from exc


def name_with_suffix(name: str, media_type: str) -> str:
    """Return a picture's name with the suffix of its type, where it has that of another one."""
    suffixes = _SUFFIXES[media_type]
    if name.lower().endswith(suffixes):
        return name
    return _PICTURE_SUFFIX.sub("", name) + suffixes[0] if _PICTURE_SUFFIX.search(name) else name


def _format_of(data: bytes) -> tuple[str, str, bool] | None:
    for signature, kind, title, is_lossy in _FORMATS:
        if signature.match(data):
            return kind, title, is_lossy
    return None


def _read(data: bytes, kind: str, title: str, *, is_lossy: bool) -> Picture:
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data), formats=[kind]) as opened:
        width, height = opened.size
        if width * height > PIXELS:
            raise PictureTooLarge
        is_animated = bool(getattr(opened, "is_animated", False))
        is_turned = opened.getexif().get(_ORIENTATION, 1) not in (0, 1)
        is_plain = opened.mode in _PLAIN_MODES.get(kind, ()) and _is_common(data, kind)
        fits = max(width, height) <= SIDE and len(data) <= BYTES
        if kind == "JPEG" and not fits:
            opened.draft("RGB", (SIDE, SIDE))  # decodes fewer pixels
        opened.load()
        if is_plain and fits and not is_turned and not is_animated:
            return Picture(data, f"image/{kind.lower()}", width, height)
        image: Any = ImageOps.exif_transpose(opened)
        if is_turned and image.width != image.height:
            upright = (width > height) == (image.width > image.height)
            width, height = (width, height) if upright else (height, width)
        image = _eight_bits(image)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        encoded, media_type = _encoded(image, is_lossy=is_lossy)
    notes = []
    if is_animated:
        notes.append("only the first frame of the animation is used")
    if kind not in ("PNG", "JPEG"):
        notes.append(f"converted from {title} to {media_type.removeprefix('image/').upper()}")
    if image.size != (width, height):
        size = f"{image.width} × {image.height}"
        notes.append(f"scaled down from {width} × {height} to {size} pixels")
    note = "; ".join(notes)
    note = note[:1].upper() + note[1:]
    return Picture(encoded, media_type, image.width, image.height, note)


def _is_common(data: bytes, kind: str) -> bool:
    """Return whether any decoder of PNG reads this one: 8 bits in each channel, and checksums that
    are right. Pillow itself ignores some of them; strict decoders refuse the picture."""
    if kind != "PNG":
        return True
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as again:
            again.verify()
    except Exception:  # as in ``read_picture``
        return False
    return data[_BIT_DEPTH] != 16


def _eight_bits(image: Any) -> Any:
    """Return the image as grey, RGB or RGBA with 8 bits in each channel."""
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow's conversion would clip
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    if "A" in image.mode or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _encoded(image: Any, *, is_lossy: bool) -> tuple[bytes, str]:
    """Return the image as PNG, or as JPEG if it has lost detail already or would be too large.

    May scale it down further, in place.
    """
    has_alpha = image.mode == "RGBA"
    if has_alpha or not is_lossy:
        data = _saved(image, "PNG", compress_level=4)
        if len(data) <= BYTES:
            return data, PNG
    flat = _on_white(image) if has_alpha else image
    while True:
        for quality in QUALITIES:
            data = _saved(flat, "JPEG", quality=quality)
            if len(data) <= BYTES:
                image.thumbnail(flat.size)
                return data, JPEG
        flat.thumbnail((flat.width * 3 // 4, flat.height * 3 // 4))


def _saved(image: Any, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.info.clear()  # a profile or comment of megabytes would be written too
    image.save(out, kind, **options)
    return out.getvalue()


def _on_white(image: Any) -> Any:
    from PIL import Image

    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white
