"""Messages on their way to an agent, with the files they name in them: no agent fetches one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from threads.core.attachments import ALL_LIMIT, files_of, id_in
from threads.models import Attachment

Message = dict[str, Any]
# Bytes of the files of a whole conversation: the newest are remembered, the others by name.
MOST: Final = ALL_LIMIT


def with_files(messages: Sequence[Message], *, thread_id: UUID) -> list[Message]:
    """Return ``messages`` with the bytes of the thread's files as ``data:`` URLs.

    Two queries where there is a file, none elsewhere. A file that is gone keeps its address,
    which the adapters put into words.
    """
    wanted = [id_ for each in reversed(messages) for id_ in _ids(each)]
    if not wanted:
        return list(messages)
    files = Attachment.objects.filter(thread=thread_id, pk__in=wanted)
    sizes = dict(files.values_list("pk", "size"))
    room, fitting = MOST, []
    for id_ in dict.fromkeys(wanted):  # the newest first
        room -= sizes.get(id_, 0)
        if room < 0:
            break
        fitting.append(id_)
    rows = files.filter(pk__in=fitting).values_list("pk", "media_type", "data")
    urls = {id_: _url(media_type, bytes(data)) for id_, media_type, data in rows}
    return [_inlined(message, urls) if _ids(message) else message for message in messages]


def _ids(message: Message) -> list[UUID]:
    parts = message.get("parts")
    found = files_of(parts) if isinstance(parts, list) else []
    return [id_ for part in found if (id_ := id_in(part.get("url")))]


def _url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _inlined(message: Message, urls: dict[UUID, str]) -> Message:
    parts = []
    for part in message["parts"]:
        id_ = id_in(part.get("url")) if part.get("type") == "file" else None
        parts.append({**part, "url": urls[id_]} if id_ in urls else part)
    return {**message, "parts": parts}
