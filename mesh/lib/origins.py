"""The origins of previews: one of its own for each sandbox.

``<handle>.preview.<host>`` where Mesh has a public name; ``<handle>.localhost:<port>`` where it
is used on the machine it runs on. There Mesh's cookies are not sent, and cookies of the app
stay with it.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

PREVIEW: Final = "preview"


def origin_pattern(*, mesh_url: str, port: str = "") -> str:
    """Return the origin of previews with ``{handle}`` in it.

    ``mesh_url`` is the server's public address, or empty. ``port`` is the one at which the
    browser reached this machine, where there is no public name.
    """
    parts = urlsplit(mesh_url)
    name = parts.hostname or ""
    if name and not is_local(name):
        at = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{{handle}}.{PREVIEW}.{name}{at}"
    at = port or (str(parts.port) if parts.port else "")
    return f"http://{{handle}}.localhost{':' + at if at else ''}"


def own_origins(*, mesh_url: str) -> str:
    """Return the origins of Mesh's own pages, as a policy lists them."""
    parts = urlsplit(mesh_url)
    if parts.hostname and not is_local(parts.hostname):
        return f"{parts.scheme}://{parts.netloc}"
    return "http://localhost:* http://127.0.0.1:*"


def preview_sources(*, mesh_url: str) -> str:
    """Return what Mesh's pages may frame, as a policy says it."""
    return origin_pattern(mesh_url=mesh_url, port="*").replace("{handle}", "*")


def is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost") or name == "testserver":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
