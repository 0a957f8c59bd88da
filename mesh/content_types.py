"""Refuses content types on which Django fails before any view runs.

Django looks up the charset while it builds the request, and decodes query and form with it.
"""

from __future__ import annotations

import codecs
from typing import Any

from django.http import JsonResponse
from django.utils.http import parse_header_parameters

from mesh.lib.asgi import App, Receive, Send
from mesh.lib.errors import AppError


class BadContentType(AppError):
    code = "bad_content_type"
    text = "The Content-Type header can't be read."
    hint = "Send one such as application/json."


def with_readable_type(app: App) -> App:
    """Return ``app``, answering 400 where ``Content-Type`` makes no sense."""

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not all(is_readable(value) for value in _types(scope)):
            await _refuse(send)
        else:
            await app(scope, receive, send)

    return serve


def is_readable(content_type: str) -> bool:
    """Return whether the header can be parsed, and its charset is a text encoding or unknown."""
    try:
        charset = parse_header_parameters(content_type)[1].get("charset")
        if charset is None:
            return True
        return bool(getattr(codecs.lookup(charset), "_is_text_encoding", True))
    except LookupError:
        return True  # Django then uses UTF-8
    except (ValueError, TypeError):
        return False


def _types(scope: Any) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type"]


async def _refuse(send: Send) -> None:
    answer = JsonResponse(BadContentType().body(), status=BadContentType.status)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.items()]
    headers.append((b"content-length", b"%d" % len(answer.content)))
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})
