"""The endpoint that exists only for ``deco_link doctor``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse

from links.errors import BadToken
from mesh import database_pool
from mesh.lib.errors import AppError, MethodNotAllowed
from mesh.tokens import bearer, find_sign_in

HELD_OPEN: Final = 6.0  # seconds, longer than the doctor waits for the event


async def stream(request: HttpRequest) -> HttpResponseBase:
    """Send one event and keep the stream open for a while, like a quiet thread's.

    A client that gets the event before the stream ends knows that nothing buffers it on the way.
    """
    if request.method != "GET":
        refusal: AppError = MethodNotAllowed()
        return JsonResponse(refusal.body(), status=refusal.status, headers={"Allow": "GET"})
    token = bearer(request.headers.get("Authorization", ""))
    if not token or await database_pool.rights.run(find_sign_in, token) is None:
        refusal = BadToken()
        return JsonResponse(refusal.body(), status=refusal.status)
    response = StreamingHttpResponse(_one_event(), content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _one_event() -> AsyncIterator[bytes]:
    yield b"data: {}\n\n"
    await asyncio.sleep(HELD_OPEN)  # cancelled when the reader disconnects
