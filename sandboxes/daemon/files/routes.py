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

from mesh.lib.quoted_names import unquote
from sandboxes.daemon.fields import Fields, fields_of
from sandboxes.daemon.files import search
from sandboxes.daemon.files.errors import BadPath
from sandboxes.daemon.files.search import Search
from sandboxes.daemon.files.tools import LINES, FileTools
from sandboxes.daemon.working_folder import Workplace

PATTERN_LIMIT = 2000  # characters

Call = Callable[[], dict[str, Any]]
Tool = Callable[[FileTools, Fields], Call]


def routes(prefix: str, workplace: Workplace, on_change: Callable[[str], None]) -> list[Route]:
    """Return the routes over the working folder; ``on_change`` gets each changed path."""
    changing = threading.Lock()
    return [
        Route(f"{prefix}/{name}", _endpoint(name, workplace, changing, on_change), methods=["POST"])
        for name in TOOLS
    ]


def _endpoint(
    name: str, workplace: Workplace, changing: threading.Lock, on_change: Callable[[str], None]
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = await fields_of(request)
        call = TOOLS[name](FileTools(await workplace.tree(), changing), body)
        done = await asyncio.to_thread(call)
        for field in CHANGES.get(name, ()):
            on_change(_path(body, field))
        return JSONResponse(done)

    return endpoint


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


def _read(tools: FileTools, body: Fields) -> Call:
    return partial(
        tools.read,
        _path(body),
        offset=body.number("offset", 1, least=1, most=2**31),
        limit=body.number("limit", LINES, least=1, most=2**31),
    )


def _write(tools: FileTools, body: Fields) -> Call:
    return partial(tools.write, _path(body), body.text("content"))


def _edit(tools: FileTools, body: Fields) -> Call:
    return partial(
        tools.edit,
        _path(body),
        body.text("old_string"),
        body.text("new_string"),
        everywhere=body.flag("replace_all"),
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
