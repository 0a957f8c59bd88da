"""The routes of the file tools: each parses its fields and calls one tool on a worker thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.harness.base import BadInput
from mesh.lib.quoted_names import unquote
from sandboxes.daemon.calls import Calls, call_id_of
from sandboxes.daemon.fields import Fields, fields_of
from sandboxes.daemon.files import search
from sandboxes.daemon.files.encodings import codec_of
from sandboxes.daemon.files.errors import BadPath
from sandboxes.daemon.files.search import Search
from sandboxes.daemon.files.tools import LINES, FileTools
from sandboxes.daemon.working_folder import Workplace

PATTERN_LIMIT = 2000  # characters

Call = Callable[[], dict[str, Any]]
Tool = Callable[[FileTools, Fields], Call]


def routes(
    prefix: str,
    workplace: Workplace,
    calls: Calls,
    on_change: Callable[[str], None],
    changing: threading.Lock,
) -> list[Route]:
    """Return the routes over the working folder; ``on_change`` gets each changed path, and each
    change holds ``changing``."""
    edge = _FileRoutes(workplace, calls, on_change, changing)
    return [
        Route(f"{prefix}/{name}", partial(edge.answer, name), methods=["POST"]) for name in TOOLS
    ]


class _FileRoutes:
    def __init__(
        self,
        workplace: Workplace,
        calls: Calls,
        on_change: Callable[[str], None],
        changing: threading.Lock,
    ) -> None:
        self._workplace, self._calls, self._on_change = workplace, calls, on_change
        self._changing = changing

    async def answer(self, name: str, request: Request) -> Response:
        body = await fields_of(request)
        work = partial(self._work, name, body)
        call_id = call_id_of(body) if name in CHANGES else ""
        if not call_id:
            return JSONResponse(await work())
        asked = {"route": name, **body.values}
        return JSONResponse((await self._calls.once(call_id, asked, work)).reply)

    async def _work(self, name: str, body: Fields) -> dict[str, Any]:
        tools = FileTools(await self._workplace.tree(), self._changing)
        done = await asyncio.to_thread(TOOLS[name](tools, body))
        for field in CHANGES.get(name, ()):
            self._on_change(_path(body, field))
        return done


def _path(body: Fields, field: str = "path") -> str:
    """Return the name that a required path means; see ``mesh.lib.quoted_names``."""
    return _name(body.path(field))


def _folder(body: Fields) -> str:
    return _name(body.text("path", ""))


def _name(text: str) -> str:
    try:
        return unquote(text)
    except ValueError as exc:
        raise BadPath from exc


def _encoding(body: Fields) -> str:
    """Return the codec of the encoding that the caller names, or nothing."""
    name = body.text("encoding", "", most=40)
    try:
        return codec_of(name) if name else ""
    except LookupError as exc:
        sentence = "encoding names none that is known here, such as utf-8, shift_jis or gb18030."
        raise BadInput(sentence, detail="encoding") from exc


def _read(tools: FileTools, body: Fields) -> Call:
    return partial(
        tools.read,
        _path(body),
        offset=body.number("offset", 1, least=1, most=2**31),
        limit=body.number("limit", LINES, least=1, most=2**31),
        named=_encoding(body),
    )


def _write(tools: FileTools, body: Fields) -> Call:
    return partial(tools.write, _path(body), body.text("content"), named=_encoding(body))


def _edit(tools: FileTools, body: Fields) -> Call:
    return partial(
        tools.edit,
        _path(body),
        body.text("old_string"),
        body.text("new_string"),
        everywhere=body.flag("replace_all"),
        named=_encoding(body),
    )


def _glob(tools: FileTools, body: Fields) -> Call:
    return partial(
        search.glob,
        tools.tree,
        body.path("pattern", most=PATTERN_LIMIT),
        path=_folder(body),
        limit=body.number("limit", search.GLOB_LIMIT, least=1, most=search.GLOB_MOST),
    )


def _grep(tools: FileTools, body: Fields) -> Call:
    wanted = Search(
        pattern=body.path("pattern", most=PATTERN_LIMIT),
        mode=body.choice("mode", "files", "count", "content"),
        glob=body.text("glob", "", most=PATTERN_LIMIT),
        ignore_case=body.flag("ignore_case"),
        context=body.number("context", 0, least=0, most=20),
        limit=body.number("limit", search.GREP_LIMIT, least=1, most=search.GREP_MOST),
    )
    return partial(search.grep, tools.tree, wanted, path=_folder(body))


TOOLS: dict[str, Tool] = {
    "read": _read,
    "write": _write,
    "edit": _edit,
    "glob": _glob,
    "grep": _grep,
    "unlink": lambda tools, body: partial(tools.unlink, _path(body)),
    "mkdir": lambda tools, body: partial(tools.mkdir, _path(body)),
    "rename": lambda tools, body: partial(tools.rename, _path(body, "from"), _path(body, "to")),
}
# The fields with the paths that a tool changes.
CHANGES = {"write": ["path"], "edit": ["path"], "unlink": ["path"], "rename": ["from", "to"]}
