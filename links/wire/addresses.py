"""The addresses at which a server may call a machine directly instead of through the tunnel.

The server sends requests to an address that a person chose: so the rule is narrow, and set by the
operator.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})  # unreachable through a proxy
_NAME: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)
_PORT: Final = re.compile(r":([1-9][0-9]{0,4})")


def is_localhost(url: str) -> bool:
    """Return whether ``url`` is on this machine: exactly ``http://localhost:PORT``."""
    return url.startswith("http://localhost:") and _is_port(url.removeprefix("http://localhost"))


def is_own_url(url: str) -> bool:
    """Return whether ``url`` has the form of a person's own address: ``https://name[:port]``.

    A name with a dot and letters, never an IP address: so it can't be an address of the internal
    network, and it has a certificate.
    """
    return _host_of(url) is not None


def is_permitted(url: str, *, hosts: Collection[str]) -> bool:
    """Return whether ``url`` is a person's own address below one of the operator's ``hosts``.

    A host is a name, or ``*.name`` for every name below it (not itself).
    """
    host = _host_of(url)
    if host is None:
        return False
    return any(
        host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed
        for allowed in map(str.lower, hosts)
    )


def parse_hosts(text: str) -> tuple[str, ...]:
    """Return the hosts of a comma-separated setting; anything but a host name is omitted."""
    names = (part.strip().lower() for part in text.split(","))
    return tuple(host for host in names if _NAME.fullmatch(host.removeprefix("*.")))


def _host_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host, colon, port = parts.netloc.lower().partition(":")
    if parts.scheme != "https" or not _NAME.fullmatch(host):
        return None
    if parts.path not in ("", "/") or "?" in url or "#" in url or not url.isascii():
        return None
    return host if not colon or _is_port(f":{port}") else None


def _is_port(text: str) -> bool:
    found = _PORT.fullmatch(text.rstrip("/"))
    return found is not None and int(found[1]) < 65536
