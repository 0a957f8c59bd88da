"""Headers that every page carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from mesh.lib.origins import preview_sources

# Scripts, styles and fonts are ours alone: nothing inline, nothing evaluated, nothing from afar.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        # The app of a sandbox, on an origin of its own.
        f"frame-src {preview_sources(mesh_url=settings.MESH_URL)}",
    ]
)


@sync_and_async_middleware
def content_security_policy(get_response: Callable[[HttpRequest], HttpResponseBase]):  # type: ignore[no-untyped-def]
    """Add the policy to every answer that has none of its own."""

    def add(response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    if iscoroutinefunction(get_response):
        wait: Callable[[HttpRequest], Awaitable[HttpResponseBase]] = get_response

        async def middleware(request: HttpRequest) -> HttpResponseBase:
            return add(await wait(request))

        return middleware

    return lambda request: add(get_response(request))
