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
ENTRY: Final = "enter"
_USUAL_PORTS: Final = {"http": 80, "https": 443}


def origin_pattern(*, mesh_url: str, port: str = "") -> str:
    """Return the origin of previews with ``{handle}`` in it.

    ``mesh_url`` is the server's public address, or empty. ``port`` is the one at which the
    browser reached this machine, where there is no public name.
    """
    return _at("{handle}", "{handle}", mesh_url=mesh_url, port=port)


def entry_pattern(*, mesh_url: str, port: str = "") -> str:
    """Return the origin of the page by which a browser enters a preview, as ``origin_pattern``.

    No app runs there, so no service worker of an app sees what is asked there. It is of the
    preview's site, so that it can have the preview's cookie set. One name is enough in public,
    where a certificate covers one level; each name below ``localhost`` is a site of its own.
    """
    return _at(ENTRY, f"{ENTRY}.{{handle}}", mesh_url=mesh_url, port=port)


def _at(public: str, local: str, *, mesh_url: str, port: str) -> str:
    parts = urlsplit(mesh_url)
    name = parts.hostname or ""
    if name and not is_local(name):
        is_usual = parts.port in (None, _USUAL_PORTS.get(parts.scheme))  # browsers leave it out
        at = "" if is_usual else f":{parts.port}"
        return f"{parts.scheme}://{public}.{PREVIEW}.{name}{at}"
    at = port or (str(parts.port) if parts.port else "")
    return f"http://{local}.localhost{':' + at if at else ''}"


def own_origins(*, mesh_url: str) -> str:
    """Return the origins of Mesh's own pages, as a policy lists them."""
    parts = urlsplit(mesh_url)
    if parts.hostname and not is_local(parts.hostname):
        return f"{parts.scheme}://{parts.netloc}"
    return "http://localhost:* http://127.0.0.1:*"


def preview_sources(*, mesh_url: str) -> str:
    """Return what Mesh's pages may frame, as a policy says it."""
    return origin_pattern(mesh_url=mesh_url, port="*").replace("{handle}", "*")


def is_same(origin: str, *, scheme: str, host: str) -> bool:
    """Say whether an ``Origin`` header is ``scheme://host``: scheme, name and port.

    Pages of one host by http and by https are different origins, for whoever is on the network
    can write the first.
    """
    given, own = _parts_of(origin), _parts_of(f"{scheme}://{host}")
    return given is not None and given == own


def _parts_of(origin: str) -> tuple[str, str, int] | None:
    """Return scheme, name and port of an origin; ``None`` for all that is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _USUAL_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    name = parts.hostname or ""
    # What urlsplit has read must be all there was: no path, no user, nothing that it skips.
    written = f"[{name}]" if ":" in name else name
    spelled = {f"{parts.scheme}://{written}{at}" for at in ("", f":{port}")}
    return (parts.scheme, name, port) if name and origin.lower() in spelled else None


def is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost") or name == "testserver":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
