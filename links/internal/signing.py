"""What one process of the cluster shows another: a signature with a key that only they have.

It is the control plane's signature (``links.wire.signing``) under another key.
"""

from __future__ import annotations

import secrets
import time

from links.wire import signing
from mesh import keys


def cluster_key() -> str:
    """Return the key: every process with the same settings has it, and nobody else."""
    return keys.derive("links between processes")


def signed_headers(*, method: str, target: str, body: bytes) -> dict[str, str]:
    """Return the headers that make another process take the request for one of ours."""
    return signing.signed_headers(
        cluster_key(),
        method=method,
        target=target,
        body=body,
        now=time.time(),
        nonce=secrets.token_hex(16),
    )
