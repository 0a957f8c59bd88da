"""Headers of every response, and requests that no view can answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.views.defaults import bad_request

from mesh.lib.origins import preview_sources
from mesh.unstorable import is_unstorable

# Scripts, styles and fonts are ours alone: nothing inline, evaluated, or from another host.
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
    """Add the policy and ``Cache-Control: no-store`` to every response that has none of its own.

    Otherwise allauth's pages (with the second factor's secret) and the API's responses would
    stay in the browser's cache after a sign-out.
    """

    def add(response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    if iscoroutinefunction(get_response):
        wait: Callable[[HttpRequest], Awaitable[HttpResponseBase]] = get_response

        async def middleware(request: HttpRequest) -> HttpResponseBase:
            return add(await wait(request))

        return middleware

    return lambda request: add(get_response(request))


@sync_and_async_middleware
def unstorable_text(get_response: Callable[[HttpRequest], HttpResponseBase]):  # type: ignore[no-untyped-def]
    """Refuse text that PostgreSQL accepts in no query: a NUL, or half a surrogate pair.

    Address, query and cookies are checked here, because other middleware queries the database
    with them. From a form or a body, such text shows up as an error of the view's own query.
    """

    def check(request: HttpRequest) -> None:
        query = unquote(request.META.get("QUERY_STRING", ""))
        if any("\0" in text for text in (request.path_info, query, *request.COOKIES.values())):
            raise BadRequest("NUL in an address, a query or a cookie")

    def process_exception(request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        return bad_request(request, exception) if is_unstorable(exception) else None

    if iscoroutinefunction(get_response):
        wait: Callable[[HttpRequest], Awaitable[HttpResponseBase]] = get_response

        async def middleware(request: HttpRequest) -> HttpResponseBase:
            check(request)
            return await wait(request)

        middleware.process_exception = process_exception  # type: ignore[attr-defined]
        return middleware

    def sync_middleware(request: HttpRequest) -> HttpResponseBase:
        check(request)
        return get_response(request)

    sync_middleware.process_exception = process_exception  # type: ignore[attr-defined]
    return sync_middleware
