"""The origins of previews: a separate one for each sandbox.

``<handle>.preview.<host>`` if Mesh has a public name; ``<handle>.localhost:<port>`` if it is used
on the machine that it runs on. Mesh's cookies are not sent there, and the app's cookies stay
there.
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

    ``mesh_url`` is the server's public address, or empty. Without a public name, ``port`` is the
    port at which the browser reached this machine.
    """
    return _at("{handle}", "{handle}", mesh_url=mesh_url, port=port)


def entry_pattern(*, mesh_url: str, port: str = "") -> str:
    """Return the origin of the page through which a browser enters a preview.

    In the form of ``origin_pattern``. No app runs there, so no app's service worker sees the
    requests. It belongs to the preview's site, so that it can set the preview's cookie. On a
    public host one name is enough, and a certificate covers one level; each name below
    ``localhost`` is a site of its own.
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
    """Return the origins of Mesh's own pages, in the form of a content security policy."""
    parts = urlsplit(mesh_url)
    if parts.hostname and not is_local(parts.hostname):
        return f"{parts.scheme}://{parts.netloc}"
    return "http://localhost:* http://127.0.0.1:*"


def preview_sources(*, mesh_url: str) -> str:
    """Return which origins Mesh's pages may frame, in the form of a content security policy."""
    return origin_pattern(mesh_url=mesh_url, port="*").replace("{handle}", "*")


def is_same(origin: str, *, scheme: str, host: str) -> bool:
    """Return whether an ``Origin`` header is ``scheme://host``: scheme, name and port.

    Pages of one host over http and over https are different origins, because anybody on the
    network can forge the http one.
    """
    given, own = _parts_of(origin), _parts_of(f"{scheme}://{host}")
    return given is not None and given == own


def _parts_of(origin: str) -> tuple[str, str, int] | None:
    """Return scheme, name and port of an origin; ``None`` if it is not one."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _USUAL_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    name = parts.hostname or ""
    # ``origin`` must contain nothing else: no path, no user, nothing that urlsplit ignores.
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
