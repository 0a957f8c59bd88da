"""Mesh's own headers between the two ends, and the headers of all proofs."""

from __future__ import annotations

from typing import Final

from links.wire import server_signature, signing

USER_SUB: Final = "X-Mesh-User-Sub"  # the laptop's owner
LINK_SECRET: Final = "X-Link-Secret"  # noqa: S105  # a name; its proof
LINK_TOKEN: Final = "X-Link-Token"  # noqa: S105  # the token it would register with now
SERVER_KEY: Final = "X-Mesh-Server-Key"  # the server's public key as the laptop knows it
REFUSAL: Final = "x-mesh-refusal"  # marks an answer of the laptop itself, not of a sandbox

# Headers with proofs, which programs behind a laptop or a sandbox must never get.
PROOFS: Final = frozenset({*signing.HEADERS, server_signature.HEADER})
