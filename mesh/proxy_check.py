"""Whether a public server names its proxies: for ``check --deploy`` and ``mesh_serve``."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks

from mesh.lib.origins import is_local
from mesh.lib.proxies import Proxies

UNNAMED = "MESH_URL is a public https address, but MESH_PROXIES names no proxy that terminates TLS."
HINT = (
    "Set MESH_PROXIES to the address that the proxy calls from, such as 127.0.0.1, or to the"
    " number of proxies. Otherwise every request that arrives over https is refused."
)


def lacks_proxies(*, mesh_url: str, proxies: Proxies) -> bool:
    """Return whether a server that needs a proxy for https names none."""
    parts = urlsplit(mesh_url)
    return parts.scheme == "https" and not is_local(parts.hostname or "") and not proxies


@checks.register(checks.Tags.security, deploy=True)
def name_the_proxies(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """Warn if no X-Forwarded header is trusted although there must be a proxy."""
    if lacks_proxies(mesh_url=settings.MESH_URL, proxies=settings.MESH_PROXIES):
        return [checks.Warning(UNNAMED, hint=HINT, id="mesh.W013")]
    return []
