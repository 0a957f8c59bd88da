"""Whose preview a request is for, by its Host (``mesh.lib.origins``)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from mesh.lib.origins import PREVIEW, is_local
from sandboxes.core.handle import is_handle

_HOST: Final = re.compile(r"(?P<name>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


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
    public = [f"{PREVIEW}.{name}"] if name and not is_local(name) else []
    return public or ["localhost"]
