"""Bytes that others made, on Mesh's own origin: a program reads them, no browser shows them.

What a sandbox, a laptop or an MCP server answers would otherwise run as a page or a script of
Mesh, with the session of whoever looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mesh.lib.errors import AppError

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
EVENTS: Final = "text/event-stream"
HEADERS: Final = {
    # Shown in spite of all, it runs nothing, loads nothing and has no origin.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OF_PROGRAMS: Final = ("", "empty")  # fetch and EventSource; or no browser, or an older one


class NotAPage(AppError):
    code = "not_a_page"
    text = "This address answers programs with data. A browser does not open it."
    hint = "Open the preview to see the app of a sandbox."
    status = 403


def refuse_to_show(headers: Mapping[str, str]) -> None:
    """Return if a request is a program's, or a page's that reads the answer.

    Raises:
        NotAPage: a browser would show the answer, or load it as a script, style or picture.
    """
    wants = headers.get("Sec-Fetch-Dest", "").lower()
    if wants not in _OF_PROGRAMS or headers.get("Sec-Fetch-Mode", "").lower() == "navigate":
        raise NotAPage


def data_type(given: str) -> str:
    """Return as what to pass a body on whose maker calls it ``given``: JSON or bytes."""
    kind = given.partition(";")[0].strip().lower()
    return (
        JSON
        if kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))
        else BYTES
    )
