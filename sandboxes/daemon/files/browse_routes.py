"""The routes of the work panel's Files: each parses its fields, and calls one function."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agents.harness.base import BadInput
from links.signed_requests import read_body
from mesh.lib.errors import AppError
from mesh.lib.quoted_names import unquote
from sandboxes.daemon.fields import Fields, fields_of
from sandboxes.daemon.files import search
from sandboxes.daemon.files.browsing import UPLOAD_LIMIT, Browser
from sandboxes.daemon.files.errors import BadPath
from sandboxes.daemon.files.search import Search
from sandboxes.daemon.files.tools import Answer, FileTools
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.working_folder import Workplace

WORDS_LIMIT = 500  # characters


class Repository(Protocol):
    def ignored_of(self, paths: Collection[str]) -> frozenset[str]: ...
    def ignored(self) -> list[str]: ...


Ask = Callable[[Callable[[Any], Any]], Awaitable[Any]]


class BrowseRoutes:
    """``ask`` calls a function with the repository; ``on_change`` gets each changed path;
    ``changing`` is the lock of the agents' tools."""

    def __init__(
        self,
        workplace: Workplace,
        root: Path,
        ask: Ask,
        on_change: Callable[[str], None],
        changing: threading.Lock,
    ) -> None:
        self._workplace, self._root = workplace, root
        self._ask, self._on_change, self._changing = ask, on_change, changing

    def routes(self, prefix: str) -> list[Route]:
        """Return the routes below ``prefix``."""
        posts = {
            "list": self.list_folder,
            "text": self.show,
            "find": self.find,
            "search": self.search,
            "save": self.save,
            "mkdir": self.mkdir,
            "rename": self.rename,
            "delete": self.delete,
            "restore": self.restore,
        }
        return [
            *(Route(f"{prefix}/files/{name}", to, methods=["POST"]) for name, to in posts.items()),
            Route(f"{prefix}/files/bytes", self.download, methods=["GET"]),
            Route(f"{prefix}/files/bytes", self.upload, methods=["PUT"]),
        ]

    async def list_folder(self, request: Request) -> Response:
        body, tree, browser = await self._asked(request)
        path = _folder(body)
        answer = await asyncio.to_thread(browser.list_folder, path)
        await self._mark_ignored(tree, answer["entries"])
        return JSONResponse(answer)

    async def _mark_ignored(self, tree: Tree, entries: list[Answer]) -> None:
        """Add ``isIgnored`` to the entries that git ignores, if there is a repository."""
        base = tree.base.relative_to(tree.top)
        by_path = {(base / unquote(entry["path"])).as_posix(): entry for entry in entries}
        if not by_path:
            return
        found = await self._git(lambda repository: repository.ignored_of(by_path), frozenset())
        for path in found:
            if path in by_path:
                by_path[path]["isIgnored"] = True

    async def _git(self, call: Callable[[Repository], Any], otherwise: Any) -> Any:
        """Return what ``call`` does with the repository, or ``otherwise`` if that can't be asked.

        A folder can be looked at while git is at work in it, or broken.
        """
        try:
            return await self._ask(call)
        except AppError:
            return otherwise

    async def show(self, request: Request) -> Response:
        body, _, browser = await self._asked(request)
        return JSONResponse(await asyncio.to_thread(browser.show, _path(body)))

    async def find(self, request: Request) -> Response:
        body, tree, browser = await self._asked(request)
        words, hidden = body.path("text", most=WORDS_LIMIT), body.flag("hidden")
        ignored: list[str] = []
        if not hidden:
            base = tree.base.relative_to(tree.top).as_posix()
            start = "" if base == "." else f"{base}/"
            told = await self._git(lambda repository: repository.ignored(), [])
            ignored = [path.removeprefix(start) for path in told if path.startswith(start)]
        looked = partial(browser.find, words, hidden=hidden, ignored=ignored)
        return JSONResponse(await asyncio.to_thread(looked))

    async def search(self, request: Request) -> Response:
        body, tree, _ = await self._asked(request)
        text = body.path("text", most=WORDS_LIMIT)
        wanted = Search(
            pattern=text if body.flag("isPattern") else _literal(text),
            mode="content",
            ignore_case=not body.flag("matchCase"),
            limit=search.GREP_MOST,
        )
        return JSONResponse(await asyncio.to_thread(partial(search.matches, tree, wanted)))

    async def save(self, request: Request) -> Response:
        body, _, browser = await self._asked(request)
        path = _path(body)
        content, version = body.text("content"), body.text("version", most=100)
        return await self._changed(partial(browser.save, path, content, version), path)

    async def mkdir(self, request: Request) -> Response:
        body, tree, _ = await self._asked(request)
        path = _path(body)
        return await self._changed(partial(FileTools(tree, self._changing).mkdir, path), path)

    async def rename(self, request: Request) -> Response:
        body, tree, _ = await self._asked(request)
        old, new = _path(body, "from"), _path(body, "to")
        call = partial(FileTools(tree, self._changing).rename, old, new)
        return await self._changed(call, old, new)

    async def delete(self, request: Request) -> Response:
        body, _, browser = await self._asked(request)
        path = _path(body)
        return await self._changed(partial(browser.delete, path), path)

    async def restore(self, request: Request) -> Response:
        body, _, browser = await self._asked(request)
        answer = await asyncio.to_thread(browser.restore, body.path("undo", most=100))
        self._on_change(unquote(answer["path"]))
        return JSONResponse(answer)

    async def download(self, request: Request) -> Response:
        browser = Browser(await self._workplace.tree(), self._changing, self._root)
        path = _query_path(request)
        size, pieces = await asyncio.to_thread(browser.pieces, path)
        headers = {"Content-Length": str(size)}
        return StreamingResponse(pieces, headers=headers, media_type="application/octet-stream")

    async def upload(self, request: Request) -> Response:
        browser = Browser(await self._workplace.tree(), self._changing, self._root)
        path, replace = _query_path(request), request.query_params.get("replace") == "1"
        data = await read_body(request.receive, UPLOAD_LIMIT)
        return await self._changed(partial(browser.upload, path, data, replace=replace), path)

    async def _asked(self, request: Request) -> tuple[Fields, Tree, Browser]:
        body = await fields_of(request)
        tree = await self._workplace.tree()
        return body, tree, Browser(tree, self._changing, self._root)

    async def _changed(self, call: Callable[[], Answer], *paths: str) -> Response:
        answer = await asyncio.to_thread(call)
        for path in paths:
            self._on_change(path)
        return JSONResponse(answer)


def _literal(text: str) -> str:
    """Return an expression that finds the text itself, in ``rg`` and in Python."""
    return re.sub(r"[\\.+*?()|\[\]{}^$#&~-]", lambda found: "\\" + found[0], text)


def _path(body: Fields, field: str = "path") -> str:
    return _name(body.path(field))


def _folder(body: Fields) -> str:
    return _name(body.text("path", ""))


def _query_path(request: Request) -> str:
    path = request.query_params.get("path", "")
    if not path:
        raise BadInput("path must not be empty.", detail="path")
    return _name(path)


def _name(text: str) -> str:
    try:
        return unquote(text)
    except ValueError as exc:
        raise BadPath from exc
