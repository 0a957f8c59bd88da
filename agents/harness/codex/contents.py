"""The text and the pictures in the results of tools."""

from __future__ import annotations

from typing import Any, Final

from agents.harness.lines import text_of
from agents.harness.pictures import Picture, picture_of

Block = dict[str, Any]

# How the Base64 of a picture begins: a generated one comes without its type.
_BEGINNINGS: Final = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}


def pictures_in(blocks: list[Block]) -> list[Picture]:
    """Return the pictures that are in the blocks themselves."""
    return [picture for block in blocks if (picture := _picture(block))]


def text_in(blocks: list[Block]) -> str:
    """Return the text; blocks that are neither text nor picture by their type."""
    return "\n".join(
        text_of(block, "text") or f"[{text_of(block, 'type') or 'something'}]"
        for block in blocks
        if not _picture(block)
    )


def generated(data: str) -> list[Picture]:
    """Return the picture that ``data``, its Base64, is; empty without any."""
    kinds = (kind for start, kind in _BEGINNINGS.items() if data.startswith(start))
    picture = picture_of(next(kinds, ""), data)
    return [picture] if picture else []


def _picture(block: Block) -> Picture | None:
    """Return the picture of an MCP server's block, or of a tool's of the client."""
    if text_of(block, "type") == "image":
        return picture_of(block.get("mimeType"), block.get("data"))
    url = text_of(block, "imageUrl")
    head, _, data = url.partition(";base64,")
    if text_of(block, "type") == "inputImage" and head.startswith("data:"):
        return picture_of(head.removeprefix("data:"), data)
    return None
