"""The headers of our own that one end sets and the other reads, and those of all proofs."""

from __future__ import annotations

from typing import Final

from links.wire import server_signature, signing

USER_SUB: Final = "X-Mesh-User-Sub"  # whose laptop it is
LINK_SECRET: Final = "X-Link-Secret"  # noqa: S105  # a name; its proof
LINK_TOKEN: Final = "X-Link-Token"  # noqa: S105  # the token with which it would register now
SERVER_KEY: Final = "X-Mesh-Server-Key"  # the public key by which it knows the server
REFUSAL: Final = "x-mesh-refusal"  # the answer is the laptop's own, not that of what it asked

# Proofs of who asks, which nothing behind a laptop or a sandbox may be shown.
PROOFS: Final = frozenset({*signing.HEADERS, server_signature.HEADER})
