"""Files of messages on their way to a sandbox: sent once each, in pieces, and named afterwards.

A part of a message that names a file of the server has a *reference* under ``attachment``, which
only the server's own code puts there. In a dispatch it becomes the file's digest, type and size.
The sandbox keeps the bytes, so the next attempt, and a transfer that broke off, continue where
this one was.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from sandboxes.providers.base import DispatchRefused, Json, ReadFile, StreamCut

# Bytes of one request. It grows on a fast line and shrinks on a slow one, so that each takes
# a few seconds at most: a limit on one request is then a limit on silence.
LEAST_PIECE: Final = 16 * 1024  # the first one, too: nobody knows how fast the line is
MOST_PIECE: Final = 1024 * 1024
QUICK, SLOW = 0.5, 5.0  # seconds
IDLE_ANSWERS: Final = 3  # answers that bring a file no further, then the sandbox is at fault
DIGESTS: Final = 10_000  # of files, remembered so that a file need not be read to be named

Ask = Callable[[str, str, bytes], Awaitable[Any]]


def names_files(messages: Sequence[Json]) -> bool:
    """Return whether there is a reference in ``messages``."""
    return any(_reference(part) for message in messages for part in message.get("parts", ()))


async def inlined(messages: Sequence[Json], read: ReadFile) -> list[Json]:
    """Return ``messages`` with the bytes of their files in them, as ``data:`` URLs."""

    async def put_in(part: Json, reference: Json) -> Json | None:
        data = await read(reference)
        if data is None:
            return None
        body = base64.b64encode(data).decode()
        return {"url": f"data:{part.get('mediaType', '')};base64,{body}"}

    return await _changed(messages, put_in)


class AttachmentSender:
    """Sends files to sandboxes, and remembers the digests of those that it has read."""

    def __init__(self) -> None:
        self._digests: OrderedDict[str, str] = OrderedDict()

    async def by_reference(self, messages: Sequence[Json], read: ReadFile, ask: Ask) -> list[Json]:
        """Return ``messages`` with their files named by digest, once the sandbox has them all.

        ``read`` gives the bytes behind a reference. ``ask`` asks the sandbox (method, path,
        body) and returns the JSON of a good answer. A file that is gone keeps its address, which
        the harness puts into words.

        Raises:
            DispatchRefused: the sandbox does not take a file.
            StreamCut, SandboxDown: see ``ask``; what has arrived is kept there.
        """
        files: dict[str, _File] = {}

        async def name(part: Json, reference: Json) -> Json | None:
            file = await self._file(reference, read)
            if file is None:
                return None
            files[file.digest] = file
            return {"url": "", "digest": file.digest, "size": reference["size"]}

        named = await _changed(messages, name)
        if files:
            query = urlencode([("digest", digest) for digest in files])
            held = await ask("GET", f"attachments?{query}", b"")
            for file in files.values():
                await self._send(file, _number(held, "held", file.digest), read, ask)
        return named

    async def _file(self, reference: Json, read: ReadFile) -> _File | None:
        digest = self._digests.get(reference["id"])
        if digest is not None:
            return _File(digest, reference, None)
        data = await read(reference)
        if data is None:
            return None
        digest = hashlib.sha256(data).hexdigest()
        self._digests[reference["id"]] = digest
        if len(self._digests) > DIGESTS:
            self._digests.popitem(last=False)
        return _File(digest, reference, data)

    async def _send(self, file: _File, held: int, read: ReadFile, ask: Ask) -> None:
        if held == file.size:
            return
        data = file.data or await read(file.reference)
        if data is None:
            raise DispatchRefused("unknown_file", "A file of the message was removed meanwhile.")
        clock = asyncio.get_running_loop().time
        offset, length, idle = held if held < len(data) else 0, LEAST_PIECE, 0
        while offset < len(data):
            began = clock()
            query = f"size={len(data)}&offset={offset}"
            piece = data[offset : offset + length]
            told = _number(await ask("PUT", f"attachments/{file.digest}?{query}", piece), "held")
            idle += told <= offset
            if idle > IDLE_ANSWERS or told > len(data):
                raise StreamCut("The sandbox does not keep the files that it is sent.")
            offset, length = told, _next_length(length, clock() - began)


@dataclass(frozen=True, slots=True)
class _File:
    digest: str
    reference: Json
    data: bytes | None  # if it was read just now

    @property
    def size(self) -> int:
        return int(self.reference["size"])


def _next_length(length: int, took: float) -> int:
    if took < QUICK:
        return min(length * 2, MOST_PIECE)
    return max(length // 2, LEAST_PIECE) if took > SLOW else length


def _number(answer: Any, *path: str) -> int:
    """Return a number of the sandbox's answer, which may be anything."""
    for key in path:
        answer = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(answer, int) or isinstance(answer, bool) or answer < 0:
        raise DispatchRefused("bad_answer", "The sandbox does not say which files it has.")
    return answer


def _reference(part: Any) -> Json | None:
    is_file = isinstance(part, dict) and part.get("type") == "file"
    found = part.get("attachment") if is_file else None
    return found if isinstance(found, dict) else None


async def _changed(
    messages: Sequence[Json], change: Callable[[Json, Json], Awaitable[Json | None]]
) -> list[Json]:
    """Return ``messages`` with what ``change`` returns in the place of each reference."""
    found = []
    for message in messages:
        parts = []
        for part in message.get("parts", ()):
            if (reference := _reference(part)) is not None:
                rest = {key: value for key, value in part.items() if key != "attachment"}
                part = rest | (await change(part, reference) or {})
            parts.append(part)
        found.append({**message, "parts": parts})
    return found
