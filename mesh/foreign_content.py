"""Content from others on Mesh's own origin: programs may read it, no browser shows it.

Otherwise the response of a sandbox, a laptop or an MCP server would run as a page or a script of
Mesh, with the session of the person who opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mesh.lib.errors import AppError

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
EVENTS: Final = "text/event-stream"
HEADERS: Final = {
    # Even if it is shown, it runs nothing, loads nothing and has no origin.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OF_PROGRAMS: Final = ("", "empty")  # fetch and EventSource; or no browser, or an older one


class NotAPage(AppError):
    code = "not_a_page"
    text = "This address serves data to programs. It can't be opened in a browser."
    hint = "To see a sandbox's app, open its preview."
    status = 403


def refuse_to_show(headers: Mapping[str, str]) -> None:
    """Return if a program sent the request, or a page that reads the response as data.

    Raises:
        NotAPage: a browser would show the response, or load it as a script, style or picture.
    """
    wants = headers.get("Sec-Fetch-Dest", "").lower()
    if wants not in _OF_PROGRAMS or headers.get("Sec-Fetch-Mode", "").lower() == "navigate":
        raise NotAPage


def data_type(given: str) -> str:
    """Return the content type, JSON or bytes, for a body that its sender labels ``given``."""
    kind = given.partition(";")[0].strip().lower()
    return (
        JSON
        if kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))
        else BYTES
    )
