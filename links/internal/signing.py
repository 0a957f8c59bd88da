"""Signatures between processes of the cluster, with a key that only they have.

The scheme is the control plane's (``links.wire.signing``), with another key.
"""

from __future__ import annotations

import secrets
import time

from links.wire import signing
from mesh import keys


def cluster_key() -> str:
    """Return the key that only processes with the same secret key can derive."""
    return keys.derive("links between processes")


def signed_headers(*, method: str, target: str, body: bytes | None) -> dict[str, str]:
    """Return the headers that prove to another process that the request is ours.

    ``None`` stands for a streamed body.
    """
    return signing.signed_headers(
        cluster_key(),
        method=method,
        target=target,
        body=body,
        now=time.time(),
        nonce=secrets.token_hex(16),
    )
