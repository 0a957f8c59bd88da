"""How a sandbox verifies that a request comes from the server, and from nobody on the way.

Link, sandbox and agents are processes of one user, and an agent may read all of that user's files.
So the laptop has no signing key: the private key never leaves the server, and a sandbox gets the
public half, through a pipe, when it is started.

One header, ``X-Mesh-Server-Signature: TIMESTAMP.NONCE.SIGNATURE``. The signature is Ed25519, in
hex, over a line that names the purpose, one with the sandbox's handle, so that a request is not
valid for another sandbox, and the five lines of ``links.wire.signing``. Their target is the path
as the sandbox receives it. ``.streamed`` follows the signature of a request whose body is not
signed (``links.wire.streamed``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from links.wire.errors import BadServerSignature, NonceReplay, NotSignedByServer, TimestampDrift
from links.wire.nonces import Nonces
from links.wire.signing import MAX_BODY, MAX_DRIFT, STREAMED, canonical
from links.wire.streamed import sandbox_may_stream

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HEADER: Final = "x-mesh-server-signature"
PREFIX: Final = "/_sandbox"
# The link's own requests: whether the sandbox is alive, and whether it is idle.
OPEN: Final = (f"{PREFIX}/health", f"{PREFIX}/idle")
SLOWEST: Final = 2 * 1024  # bytes per second of the slowest line for a body
LONG: Final = 8 * 1024  # bytes of a body from which its nonce is kept for the longest transfer
_PURPOSE: Final = "mesh: a request of the server to a sandbox"
_HEADER: Final = re.compile(
    rf"([0-9]{{1,12}})\.([0-9a-f]{{32}})\.([0-9a-f]{{128}})(\.{STREAMED})?", re.ASCII
)
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


def is_key(text: object) -> bool:
    """Return whether ``text`` has the form of a public key: 32 bytes in hex."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def sign(
    key: Ed25519PrivateKey,
    *,
    handle: str,
    method: str,
    target: str,
    body: bytes | None,
    now: float,
    nonce: str,
) -> str:
    """Return the header's value; ``target`` is the sandbox's own path, with ``?`` and raw query.

    ``None`` stands for a streamed body.
    """
    timestamp = str(int(now))
    text = _text(handle, method, target, timestamp, nonce, body)
    value = f"{timestamp}.{nonce}.{key.sign(text).hex()}"
    return f"{value}.{STREAMED}" if body is None else value


class Verifier:
    """Verifies the requests to one sandbox, and remembers their nonces."""

    def __init__(self, public_key: str, *, handle: str) -> None:
        """Take the server's public key, in hex.

        Raises:
            ValueError: it is malformed.
        """
        if not is_key(public_key):
            raise ValueError("the server's public key is missing or malformed")
        self._public_key, self._handle = public_key, handle
        self._nonces = Nonces()
        self._long_nonces = Nonces(keep=2 * MAX_DRIFT + 1 + MAX_BODY / SLOWEST)

    def may_pass(self, header: str) -> bool:
        """Return whether ``header`` is well-formed; if not, the body need not be read."""
        return _HEADER.fullmatch(header) is not None

    def is_streamed(self, header: str) -> bool:
        """Return whether ``header`` is that of a request whose body is not signed."""
        found = _HEADER.fullmatch(header)
        return found is not None and found[4] is not None

    def verify(
        self, header: str, *, method: str, target: str, body: bytes | None, now: float
    ) -> None:
        """Check that the request is the server's, timely and new.

        ``body`` is ``None`` for a streamed one, which only a dev server may get.

        Raises:
            NotSignedByServer, BadServerSignature, TimestampDrift, NonceReplay: in this order.
            TooManyRequests: genuine, but the memory of nonces is full.
        """
        # Imported late: a sandbox listens 30 ms sooner, and an unused one never loads it.
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        found = _HEADER.fullmatch(header)
        if found is None:
            raise NotSignedByServer
        timestamp, nonce, signature, streamed = found.groups()
        if (streamed is not None) != (body is None):
            raise NotSignedByServer
        if body is None and not sandbox_may_stream(target):
            raise BadServerSignature
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self._public_key))
        text = _text(self._handle, method, target, timestamp, nonce, body)
        try:
            key.verify(bytes.fromhex(signature), text)
        except InvalidSignature as exc:
            raise BadServerSignature from exc
        # The link forwards a request once its whole body has arrived, which takes time.
        size = 0 if body is None else len(body)
        if not -MAX_DRIFT <= int(now) - int(timestamp) <= MAX_DRIFT + size // SLOWEST:
            raise TimestampDrift(now)
        nonces = self._long_nonces if size > LONG else self._nonces
        if not nonces.add(nonce, now=now):
            raise NonceReplay


def _text(
    handle: str, method: str, target: str, timestamp: str, nonce: str, body: bytes | None
) -> bytes:
    lines = canonical(method=method, target=target, timestamp=timestamp, nonce=nonce, body=body)
    return f"{_PURPOSE}\n{handle}\n{lines}".encode()
