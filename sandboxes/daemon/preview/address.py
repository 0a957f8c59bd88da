"""Where a dev server is reached on this machine."""

from __future__ import annotations

import functools
import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """A port on loopback. ``path`` is what the server announced as its first page."""

    port: int
    loopback: str = "127.0.0.1"
    is_secure: bool = False
    path: str = "/"

    @property
    def origin(self) -> bytes:
        """The origin that the dev server believes to be visited."""
        scheme = b"https" if self.is_secure else b"http"
        return b"%s://localhost:%d" % (scheme, self.port)

    @property
    def tls(self) -> ssl.SSLContext | None:
        return _unverified() if self.is_secure else None


@functools.cache
def _unverified() -> ssl.SSLContext:
    """Return what speaks TLS on loopback, where certificates are made by the tools themselves."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
