"""Uploads the files of messages to a sandbox: each file once, in pieces.

A part of a message that names a file of the server has a *reference* under ``attachment``, which
only the server's own code puts there. In a dispatch it becomes the file's digest, type and size.
The sandbox keeps the bytes, so that an interrupted transfer or another attempt continues where
this one stopped.
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

# Bytes of one request. Pieces grow on a fast connection and shrink on a slow one, so that each
# takes a few seconds at most and a limit on one request is a limit on silence.
LEAST_PIECE: Final = 16 * 1024  # also the first one: the speed is unknown
MOST_PIECE: Final = 1024 * 1024
QUICK, SLOW = 0.5, 5.0  # seconds
IDLE_ANSWERS: Final = 3  # responses without progress, after which the sandbox is at fault
DIGESTS: Final = 10_000  # cached, so that a file need not be read to be named

Ask = Callable[[str, str, bytes], Awaitable[Any]]


def names_files(messages: Sequence[Json]) -> bool:
    """Return whether there is a reference in ``messages``."""
    return any(_reference(part) for message in messages for part in message.get("parts", ()))


async def inlined(messages: Sequence[Json], read: ReadFile) -> list[Json]:
    """Return ``messages`` with the bytes of their files inside, as ``data:`` URLs."""

    async def put_in(part: Json, reference: Json) -> Json | None:
        data = await read(reference)
        if data is None:
            return None
        body = base64.b64encode(data).decode()
        return {"url": f"data:{part.get('mediaType', '')};base64,{body}"}

    return await _changed(messages, put_in)


class AttachmentSender:
    """Sends files to sandboxes, and caches the digests of the files that it read."""

    def __init__(self) -> None:
        self._digests: OrderedDict[str, str] = OrderedDict()

    async def by_reference(self, messages: Sequence[Json], read: ReadFile, ask: Ask) -> list[Json]:
        """Return ``messages`` with their files named by digest, once the sandbox has them all.

        ``read`` returns the bytes behind a reference. ``ask`` sends a request to the sandbox
        (method, path, body) and returns the JSON of a successful response. A deleted file keeps
        its address, which the harness explains to the agent.

        Raises:
            DispatchRefused: the sandbox refuses a file.
            StreamCut, SandboxDown: see ``ask``; the sandbox keeps the bytes that arrived.
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
            raise DispatchRefused(
                "unknown_file", "A file of the message was deleted in the meantime."
            )
        clock = asyncio.get_running_loop().time
        offset, length, idle = held if held < len(data) else 0, LEAST_PIECE, 0
        while offset < len(data):
            began = clock()
            query = f"size={len(data)}&offset={offset}"
            piece = data[offset : offset + length]
            stored = _number(await ask("PUT", f"attachments/{file.digest}?{query}", piece), "held")
            idle += stored <= offset
            if idle > IDLE_ANSWERS or stored > len(data):
                raise StreamCut("The sandbox does not store the files that it receives.")
            offset, length = stored, _next_length(length, clock() - began)


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
    """Return a number from the sandbox's response, which may be anything."""
    for key in path:
        answer = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(answer, int) or isinstance(answer, bool) or answer < 0:
        raise DispatchRefused("bad_answer", "The sandbox does not report which files it has.")
    return answer


def _reference(part: Any) -> Json | None:
    is_file = isinstance(part, dict) and part.get("type") == "file"
    found = part.get("attachment") if is_file else None
    return found if isinstance(found, dict) else None


async def _changed(
    messages: Sequence[Json], change: Callable[[Json, Json], Awaitable[Json | None]]
) -> list[Json]:
    """Return ``messages`` with each reference replaced by the result of ``change``."""
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
