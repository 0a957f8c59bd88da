"""How the server proves to a laptop that a request is its own.

Five lines, joined by one LF: method in upper case, path and raw query (``/a?x=1``; the path
contains the sandbox's handle, so a request is not valid for another one), whole Unix seconds,
nonce, SHA-256 of the body. The signature is their HMAC-SHA-256; its key is the *text* of the
secret, not the bytes it encodes.

The hash of the body is also sent as a header, so that the signature is checked before the body
is read. Without that header (from an older server) only a short body is read.

A body of any length that is passed on as it arrives has no hash yet: its place is taken by the
word ``streamed``, which no body hashes to. Only requests that a preview's dev server gets may be
signed like that (``links.wire.streamed``, ADR 32).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from links.wire.errors import BadSignature, MissingHeaders, NonceReplay, TimestampDrift
from links.wire.nonces import Nonces

SIGNATURE: Final = "x-mesh-signature"
TIMESTAMP: Final = "x-mesh-timestamp"
NONCE: Final = "x-mesh-nonce"
DIGEST: Final = "x-mesh-digest"  # SHA-256 of the body in hex, or STREAMED
HEADERS: Final = (SIGNATURE, TIMESTAMP, NONCE, DIGEST)

STREAMED: Final = "streamed"  # instead of the hash of a body that is signed by its head alone
MAX_DRIFT: Final = 30  # seconds, inclusive: a laptop that has just woken may be this far off
MAX_BODY: Final = 25 * 1024 * 1024  # checked before hashing
MAX_UNPROVEN: Final = 64 * 1024  # of a body whose hash is not among the headers

_PLAIN_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NONCE = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


def canonical(*, method: str, target: str, timestamp: str, nonce: str, body: bytes | None) -> str:
    """Return the five lines that are signed; ``target`` is the path with ``?`` and raw query.

    ``None`` stands for a streamed body.
    """
    return _lines(method, target, timestamp, nonce, digest_of(body))


def digest_of(body: bytes | None) -> str:
    """Return the last of the five lines: the body's hash, or ``STREAMED`` for ``None``."""
    return STREAMED if body is None else hashlib.sha256(body).hexdigest()


def sign(
    secret: str, *, method: str, target: str, timestamp: str, nonce: str, body: bytes | None
) -> str:
    """Return the signature in lower-case hex.

    Raises:
        ValueError: the secret is empty; anybody could sign.
    """
    return _signature(
        secret, canonical(method=method, target=target, timestamp=timestamp, nonce=nonce, body=body)
    )


def fingerprint(secret: str) -> str:
    """Return the SHA-256 of ``secret`` in hex, which identifies it without revealing it.

    No salt: the secret has 256 random bits and can't be guessed.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def signed_headers(
    secret: str, *, method: str, target: str, body: bytes | None, now: float, nonce: str
) -> dict[str, str]:
    """Return the four headers that make a request pass ``prove_head`` and ``verify``.

    Those of a streamed body (``None``) pass ``prove_head`` alone.
    """
    timestamp = str(int(now))
    signature = sign(
        secret, method=method, target=target, timestamp=timestamp, nonce=nonce, body=body
    )
    return {SIGNATURE: signature, TIMESTAMP: timestamp, NONCE: nonce, DIGEST: digest_of(body)}


def prove_head(secret: str, *, method: str, target: str, headers: Mapping[str, str]) -> bool:
    """Check the signature before the body is read; return ``False`` if the headers lack its hash.

    ``verify`` must follow, or ``admit`` and ``check_digest``: the body may differ, and the request
    may be old. A streamed body (``is_streamed``) has no hash to check.

    Raises:
        MissingHeaders, BadSignature: the body need not be read.
    """
    signature, timestamp, nonce = _proof(headers)
    digest = headers.get(DIGEST, "")
    if not digest:
        return False
    if not _HEX_DIGEST.fullmatch(digest) and digest != STREAMED:
        raise BadSignature
    _compare(signature, _signature(secret, _lines(method, target, timestamp, nonce, digest)))
    return True


def is_streamed(headers: Mapping[str, str]) -> bool:
    """Return whether the head says that its body is not signed."""
    return headers.get(DIGEST) == STREAMED


def verify(
    secret: str,
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    nonces: Nonces,
) -> None:
    """Check that the request is genuine, timely and new; ``headers`` have lower-case names.

    The signature is checked before time and nonce: without the key nobody learns whether those
    were acceptable, or can fill or query the memory of nonces.

    Raises:
        MissingHeaders, BadSignature, TimestampDrift, NonceReplay: in this order.
        TooManyRequests: genuine, but the memory of nonces is full.
    """
    signature, timestamp, nonce = _proof(headers)
    expected = sign(
        secret, method=method, target=target, timestamp=timestamp, nonce=nonce, body=body
    )
    _compare(signature, expected)
    admit(headers, now=now, nonces=nonces)


def admit(headers: Mapping[str, str], *, now: float, nonces: Nonces) -> None:
    """Accept a request with a valid signature, once.

    Raises:
        TimestampDrift, NonceReplay, TooManyRequests: see ``verify``.
    """
    _, timestamp, nonce = _proof(headers)
    if abs(int(now) - int(timestamp)) > MAX_DRIFT:
        raise TimestampDrift(now)
    if not nonces.add(nonce, now=now):
        raise NonceReplay


def check_digest(headers: Mapping[str, str], body: bytes) -> None:
    """Check that ``body`` has the hash in the verified headers.

    Raises:
        BadSignature: it has another one.
    """
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest(), headers.get(DIGEST, "")):
        raise BadSignature


def _proof(headers: Mapping[str, str]) -> tuple[str, str, str]:
    signature = headers.get(SIGNATURE, "")
    timestamp = headers.get(TIMESTAMP, "")
    nonce = headers.get(NONCE, "")
    # Some parsers accept "1e9" and " 12" as numbers: we accept only one spelling.
    if not (signature and _PLAIN_SECONDS.fullmatch(timestamp) and _NONCE.fullmatch(nonce)):
        raise MissingHeaders
    return signature, timestamp, nonce


def _compare(signature: str, expected: str) -> None:
    if not _HEX_DIGEST.fullmatch(signature) or not hmac.compare_digest(expected, signature):
        raise BadSignature


def _lines(method: str, target: str, timestamp: str, nonce: str, digest: str) -> str:
    return f"{method.upper()}\n{target}\n{timestamp}\n{nonce}\n{digest}"


def _signature(secret: str, lines: str) -> str:
    if not secret:
        raise ValueError("the link's secret is empty")
    return hmac.digest(secret.encode(), lines.encode(), "sha256").hex()
