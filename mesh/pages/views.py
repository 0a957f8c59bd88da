"""The stylesheet's address."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

from mesh.pages import stylesheet


@require_GET
@cache_control(public=True, max_age=31536000, immutable=True)
def style(request: HttpRequest, digest: str) -> HttpResponse:
    """The joined stylesheet. An old page that asks for an old one gets the current one."""
    sheet = stylesheet.current()
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(sheet.packed if packed else sheet.plain, content_type="text/css")
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response
