"""Headers that every page carries, and requests that no page can answer."""

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
    """Add the policy to every answer that has none of its own, and that nobody keeps it.

    Pages of others' (allauth's, with the second factor's secret) and the API's answers would
    otherwise still lie in the browser after a sign-out.
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
    """Refuse text that PostgreSQL takes in no query: a NUL, or half a surrogate pair.

    In address, query and cookies it is looked for, because middleware already asks the database
    by those. From a form or a body it comes back as an error of the view's own query.
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

    def middleware_of_threads(request: HttpRequest) -> HttpResponseBase:
        check(request)
        return get_response(request)

    middleware_of_threads.process_exception = process_exception  # type: ignore[attr-defined]
    return middleware_of_threads
