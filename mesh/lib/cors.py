"""The origins that an operator lets use the API from a browser (``MESH_CORS_ORIGINS``)."""

from __future__ import annotations

from urllib.parse import urlsplit

from mesh.lib.origins import is_local


def parse_origins(text: str) -> tuple[str, ...]:
    """Return the origins in ``text``, which commas separate, as browsers send them.

    Raises:
        ValueError: one is not an origin; the text says which and why.
    """
    return tuple(_origin(each) for part in text.split(",") if (each := part.strip()))


def _origin(text: str) -> str:
    if "*" in text:
        raise ValueError(f"{text!r}: each origin is named, there are no patterns")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no origin such as https://app.example")
    if parts.path.rstrip("/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{text!r}: an origin ends with its host or port")
    if parts.scheme == "http" and not is_local(parts.hostname):
        raise ValueError(f"{text!r}: only pages of this machine may come without https")
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return f"{parts.scheme}://{host}{port}"
