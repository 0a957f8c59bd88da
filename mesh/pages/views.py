"""The stylesheets' addresses."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

from mesh.pages import stylesheet


@require_GET
@cache_control(public=True, max_age=31536000, immutable=True)
def style(request: HttpRequest, digest: str) -> HttpResponse:
    """The joined stylesheet. An old page that asks for an old one gets the current one."""
    return _sheet(request, stylesheet.current())


@require_GET
@cache_control(public=True, max_age=31536000, immutable=True)
def panel_style(request: HttpRequest, digest: str) -> HttpResponse:
    """The work panel's stylesheet; also the current one for old pages."""
    return _sheet(request, stylesheet.of_panel())


def _sheet(request: HttpRequest, sheet: stylesheet.Stylesheet) -> HttpResponse:
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(sheet.packed if packed else sheet.plain, content_type="text/css")
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response
