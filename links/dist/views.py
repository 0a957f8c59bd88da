"""``/dist/``: the laptop's program in this server's version. Public: it contains no secret."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from links.dist.offer import offer_of, wheel
from links.wire import version as protocol
from mesh.lib.errors import error_body
from mesh.pairing.metadata import issuer
from mesh.version import VERSION


@require_safe
@never_cache
def offer(request: HttpRequest) -> JsonResponse:
    """Version, address and commands, for programs."""
    found = offer_of(issuer(request))
    return JsonResponse(
        {
            "version": VERSION,
            "protocol": {"current": protocol.CURRENT, "minimum": protocol.MINIMUM},
            "url": found.url,
            "sha256": found.sha256,
            "uv": found.uv,
            "uvx": found.uv,  # laptops before 0.2 look for the line under this name
            "pip": found.pip,
        }
    )


@require_safe
@never_cache
def command(request: HttpRequest) -> HttpResponse:
    """The install command alone, for a person at a terminal."""
    return HttpResponse(f"{offer_of(issuer(request)).uv}\n", content_type="text/plain")


@require_safe
def download(request: HttpRequest, name: str) -> HttpResponse:
    """The wheel. Its name changes with its content, so an old name is no longer here."""
    if name != wheel().name:
        hint = f"This server's is now {offer_of(issuer(request)).url}"
        body = error_body("not_found", "There is no such file here.", hint)
        return JsonResponse(body, status=404)
    response = HttpResponse(wheel().data, content_type="application/octet-stream")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
