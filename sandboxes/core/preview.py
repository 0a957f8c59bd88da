"""The addresses of previews: an origin of its own for each sandbox.

``<handle>.preview.<host>`` where Mesh has a public name; ``<handle>.localhost:<port>`` where it
is used on the machine it runs on. There Mesh's cookies are not sent, and cookies of the app
stay with it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from sandboxes.core.handle import is_handle

PREVIEW: Final = "preview"
_HOST: Final = re.compile(r"(?P<name>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


def origin_pattern(*, mesh_url: str, port: str = "") -> str:
    """Return the origin of previews with ``{handle}`` in it.

    ``mesh_url`` is the server's public address, or empty. ``port`` is the one at which the
    browser reached this machine, where there is no public name.
    """
    parts = urlsplit(mesh_url)
    name = parts.hostname or ""
    if name and not _is_local(name):
        at = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{{handle}}.{PREVIEW}.{name}{at}"
    at = port or (str(parts.port) if parts.port else "")
    return f"http://{{handle}}.localhost{':' + at if at else ''}"


def handle_of_host(host: str, *, mesh_url: str) -> str | None:
    """Return the handle whose preview ``host`` names.

    "" for a host below the previews' that is no sandbox's; ``None``: it is not a preview's.
    """
    found = _HOST.fullmatch(host.lower().rstrip("."))
    if found is None:
        return None
    name = found["name"]
    for base in _bases(mesh_url):
        if name.endswith(f".{base}"):
            label = name.removesuffix(f".{base}")
            return label if is_handle(label) else ""
    return None


def port_of(host: str) -> str:
    """Return the port in a Host header, or ""."""
    found = _HOST.fullmatch(host.lower())
    return (found["port"] or "") if found else ""


def _bases(mesh_url: str) -> list[str]:
    name = urlsplit(mesh_url).hostname or ""
    public = [f"{PREVIEW}.{name}"] if name and not _is_local(name) else []
    return public or ["localhost"]


def _is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost") or name == "testserver":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
