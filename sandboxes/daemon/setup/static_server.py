"""Serves the files of a folder that has no server of its own, and reloads its pages on a change.

    … sandboxes.daemon.setup.static_server PORT

It serves its working folder, on this machine's own address only. Names that begin with a dot
(such as ``.git`` and ``.env``) are not there, nor is what a link out of the folder leads to.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from sandboxes.daemon.setup.frameworks import HOST

SCRIPT_PATH, FEED_PATH = "/.mesh/reload.js", "/.mesh/changes"
MOST_OF_PAGE = 4 * 1024 * 1024  # bytes; a longer page is served without the script
LOOK_EVERY = 0.5  # seconds
MOST_FILES = 5000  # that are watched
_SKIPPED = frozenset({"node_modules", "__pycache__", "vendor", "target"})
_TAG = f'<script src="{SCRIPT_PATH}"></script>'.encode()
# A changed style sheet is loaded anew, anything else reloads the page.
_SCRIPT = """
new EventSource("FEED").onmessage = ({ data }) => {
  if (data !== "style") return location.reload();
  for (const link of document.querySelectorAll("link[rel~=stylesheet]")) {
    const address = new URL(link.href);
    if (address.origin !== location.origin) continue;
    address.searchParams.set("changed", Date.now());
    link.href = address.href;
  }
};
""".replace("FEED", FEED_PATH)


class Files(StaticFiles):
    """The folder's files, with the script in its pages."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if any(part.startswith(".") and part != "." for part in Path(path).parts):
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        if scope["method"] != "GET" or not isinstance(response, FileResponse):
            return response
        response.headers["cache-control"] = "no-cache"
        if response.media_type != "text/html":
            return response
        page = await asyncio.to_thread(_read, Path(response.path))
        if page is None:
            return response
        headers = {"cache-control": "no-cache"}
        return HTMLResponse(with_script(page), response.status_code, headers)


def with_script(page: bytes) -> bytes:
    """Return the page with the script before the end of its body, or at its end."""
    end = page.lower().rfind(b"</body>")
    return page + _TAG if end < 0 else page[:end] + _TAG + page[end:]


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            page = file.read(MOST_OF_PAGE + 1)
    except OSError:
        return None
    return page if len(page) <= MOST_OF_PAGE else None


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the files below ``folder`` with their times and sizes. Blocking."""
    found: dict[str, tuple[int, int]] = {}
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in _SKIPPED)
        for name in sorted(n for n in names if not n.startswith(".")):
            if len(found) >= MOST_FILES:
                return found
            path = os.path.join(root, name)
            try:
                facts = os.stat(path)
            except OSError:
                continue  # it has just gone
            found[path] = (facts.st_mtime_ns, facts.st_size)
    return found


def kind_of_change(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> str:
    """Return what has changed: ``style`` (style sheets alone), ``page``, or nothing: empty."""
    changed = {path for path, _ in before.items() ^ after.items()}
    if not changed:
        return ""
    return "style" if all(path.endswith(".css") for path in changed) else "page"


async def changes(folder: Path) -> AsyncGenerator[str]:
    """Yield an event for each change below ``folder``, and comments in between."""
    before = await asyncio.to_thread(seen, folder)
    yield ": looking\n\n"
    while True:
        await asyncio.sleep(LOOK_EVERY)
        after = await asyncio.to_thread(seen, folder)
        if kind := kind_of_change(before, after):
            yield f"data: {kind}\n\n"
        before = after


def app_of(folder: Path) -> Starlette:
    """Return the app that serves ``folder``."""

    async def script(request: Request) -> Response:
        return Response(_SCRIPT, media_type="text/javascript")

    async def feed(request: Request) -> Response:
        headers = {"cache-control": "no-store"}
        return StreamingResponse(changes(folder), 200, headers, "text/event-stream")

    files = Files(directory=folder, html=True)
    return Starlette(routes=[Route(SCRIPT_PATH, script), Route(FEED_PATH, feed), Mount("/", files)])


def main() -> None:
    port = int(sys.argv[1])
    print(f"Serving this folder's files on http://{HOST}:{port}/", flush=True)
    uvicorn.run(
        app_of(Path.cwd()),
        host=HOST,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=1,  # seconds; a page follows the changes without an end
    )


if __name__ == "__main__":
    main()
