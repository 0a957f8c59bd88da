"""Pictures in a tool's output: which of them an answer keeps, and what is said about the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

# Bytes. A picture is an event of the journal and a part of the stored message.
PICTURE_LIMIT: Final = 1024 * 1024
TURN_LIMIT: Final = 4 * 1024 * 1024
# The types that browsers show and that can't run anything.
MEDIA_TYPES: Final = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a program sends it: ``data`` is Base64."""

    media_type: str
    data: str

    @property
    def size(self) -> int:
        """The size in bytes, as the length of the Base64 says."""
        return len(self.data.rstrip("=")) * 3 // 4

    def as_json(self) -> dict[str, str]:
        return {"mediaType": self.media_type, "data": self.data}


class Gallery:
    """The pictures of one turn, and how much room is left for more."""

    def __init__(self) -> None:
        self._left = TURN_LIMIT

    def output(self, text: str, pictures: Sequence[Picture]) -> Any:
        """Return a tool's output: ``text``, or an object with the text and the kept pictures.

        For each picture that is not kept, a sentence in the text says so.
        """
        kept: list[dict[str, str]] = []
        lines = [text] if text else []
        for picture in pictures:
            if refusal := self._refusal(picture):
                lines.append(refusal)
            else:
                self._left -= picture.size
                kept.append(picture.as_json())
        said = "\n".join(lines)
        return {"text": said, "pictures": kept} if kept else said

    def _refusal(self, picture: Picture) -> str:
        """Return why a picture is not kept; empty if it is."""
        if picture.media_type not in MEDIA_TYPES:
            return "[A picture is not shown: its type is unknown.]"
        if picture.size > PICTURE_LIMIT:
            return "[A picture is not shown: it is larger than 1 MiB.]"
        if picture.size > self._left:
            return "[A picture is not shown: this answer already has 4 MiB of pictures.]"
        return ""


def picture_of(media_type: object, data: object) -> Picture | None:
    """Return the picture in two values of a program's line; ``None`` if they aren't one."""
    if isinstance(media_type, str) and isinstance(data, str) and data:
        return Picture(media_type, data)
    return None
