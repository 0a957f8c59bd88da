"""Pictures made for tests, good ones and such as providers refuse."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image
from pillow_heif import register_heif_opener

register_heif_opener()


def picture(kind="PNG", size=(60, 40), *, mode="RGB", colour=None, turned=0, **options):
    """Return the bytes of a picture; ``turned`` is an EXIF orientation."""
    image = Image.new(mode, size, colour if colour is not None else 0)
    if turned:
        exif = Image.Exif()
        exif[0x0112] = turned
        options["exif"] = exif
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def animation(kind="GIF"):
    first, second = (Image.new("RGB", (50, 50), colour) for colour in ("red", "blue"))
    out = io.BytesIO()
    first.save(out, kind, save_all=True, append_images=[second])
    return out.getvalue()


def half(data):
    return data[: len(data) // 2]


def flipped(data, at):
    """Return the bytes with one bit wrong."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def declaring(width, height):
    """Return a small PNG whose header declares a size that its few bytes do not have."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 10)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def opened(data):
    """Return the decoded picture."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
