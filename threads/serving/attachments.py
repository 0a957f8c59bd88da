"""Files of messages on their way to an agent: references travel, readers fetch the bytes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from mesh import database_pool
from threads.core.attachments import ALL_LIMIT, IMAGE, files_of, id_in, sort_of
from threads.core.pictures import BadPicture, read_picture
from threads.models import Attachment

Message = dict[str, Any]
MAX_TOTAL: Final = ALL_LIMIT  # bytes of the files of one message


def with_references(messages: Sequence[Message], *, thread_id: UUID) -> list[Message]:
    """Return ``messages`` with a reference to each file of the thread that they name.

    ``read_file`` returns the bytes of one. One query if there is a file, otherwise none. A file
    that is gone keeps its address, which the adapters put into words.
    """
    sizes = _fitting(messages, thread_id, MAX_TOTAL)

    def refer(id_: UUID | None) -> Message:
        if id_ not in sizes:
            return {}
        place = {"thread": str(thread_id), "id": str(id_), "size": sizes[id_]}
        return {"id": str(id_), "attachment": place}

    return _changed(messages, refer)


def with_files(
    messages: Sequence[Message], *, thread_id: UUID, room: int = MAX_TOTAL
) -> list[Message]:
    """Return ``messages`` with the bytes of the thread's files as ``data:`` URLs.

    ``room``: bytes of the newest files that are sent, the others by name only. Two queries if there
    is a file, otherwise none.
    """
    sizes = _fitting(messages, thread_id, room)
    rows = Attachment.objects.filter(thread=thread_id, pk__in=sizes) if sizes else ()
    found = {row.pk: _as_sent(row) for row in rows}
    return _changed(messages, lambda id_: found.get(id_, {}) if id_ else {})


def _as_sent(row: Attachment) -> Message:
    address = _url(row.media_type, bytes(row.data))
    return {"id": str(row.pk), "mediaType": row.media_type, "url": address}


async def read_file(reference: dict[str, Any]) -> bytes | None:
    """Return the bytes of the file that a reference of ours names; ``None`` if it is gone."""
    return await database_pool.heavy.run(_read, UUID(reference["thread"]), UUID(reference["id"]))


def _read(thread_id: UUID, file_id: UUID) -> bytes | None:
    found = Attachment.objects.filter(thread=thread_id, pk=file_id)
    data = found.values_list("data", flat=True).first()
    return None if data is None else bytes(data)


def _fitting(messages: Sequence[Message], thread_id: UUID, room: int) -> dict[UUID, int]:
    """Return the sizes of the newest files that the messages name, up to ``room``.

    A picture that an older version stored is read now, once; one that can't be read is left out.
    """
    ids = [id_ for each in reversed(messages) for id_ in _ids(each)]
    if not ids:
        return {}
    files = Attachment.objects.filter(thread=thread_id, pk__in=ids)
    facts = files.values_list("pk", "size", "media_type", "width")
    sizes = {}
    for pk, size, media_type, width in facts:
        if sort_of(media_type) == IMAGE and width is None:
            size = _read_old(files.get(pk=pk))
        if size and width != 0:
            sizes[pk] = size
    left, fitting = room, {}
    for id_ in dict.fromkeys(ids):  # the newest first
        left -= sizes.get(id_, 0)
        if left < 0:
            break
        if id_ in sizes:
            fitting[id_] = sizes[id_]
    return fitting


def _read_old(row: Attachment) -> int:
    """Read a picture, and store it as a new one would be; return its size, 0 if it is damaged."""
    try:
        read = read_picture(bytes(row.data))
    except BadPicture:
        changed: dict[str, Any] = {"width": 0, "height": 0}
    else:
        changed = {"width": read.width, "height": read.height, "media_type": read.media_type}
        changed |= {"data": read.data, "size": len(read.data)}
    Attachment.objects.filter(pk=row.pk, width=None).update(**changed)
    return int(changed.get("size", 0))


def _ids(message: Message) -> list[UUID]:
    parts = message.get("parts")
    found = files_of(parts) if isinstance(parts, list) else []
    return [id_ for part in found if (id_ := id_in(part.get("url")))]


def _url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _changed(
    messages: Sequence[Message], change: Callable[[UUID | None], Message]
) -> list[Message]:
    """Return ``messages`` with the result of ``change`` merged into each part that is a file."""
    return [
        {**message, "parts": [_part(part, change) for part in message["parts"]]}
        if isinstance(message.get("parts"), list)
        else message
        for message in messages
    ]


def _part(part: Message, change: Callable[[UUID | None], Message]) -> Message:
    if part.get("type") != "file":
        return part
    # A client must not be able to set our own keys.
    kept = {key: value for key, value in part.items() if key not in ("attachment", "digest")}
    return {**kept, **change(id_in(part.get("url")))}
