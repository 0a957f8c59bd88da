"""Secrets that an embedded Mesh makes for itself, and encryption of stored secrets.

The settings import this module, so it must not read them at import.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def make_secret() -> str:
    """Return a new key for Django's signatures."""
    return secrets.token_urlsafe(48)


def make_fernet() -> str:
    """Return a new Fernet key (32 random bytes, base64url)."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """Return the text of ``path``; make it first, readable by the owner only, if it is missing.

    Several processes may start at the same time: the first to create the file decides for all.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(make() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # fails if another process was first, and never overwrites
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()


def seal(text: str) -> str:
    """Return ``text`` encrypted with the newest of the settings' keys."""
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return the text that ``seal`` encrypted with any of the settings' keys."""
    return _box().decrypt(sealed.encode()).decode()


def reseal(sealed: str) -> str:
    """Return the same secret encrypted with the newest key.

    Raises:
        cryptography.fernet.InvalidToken: none of the settings' keys decrypts it.
    """
    return _box().rotate(sealed.encode()).decode()


def derive(purpose: str) -> str:
    """Return the key for ``purpose``: the same in each process with the same SECRET_KEY."""
    from django.conf import settings

    return _derive(settings.SECRET_KEY, purpose)


def _derive(secret_key: str, purpose: str) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"mesh: {purpose}".encode())
    return derived.derive(secret_key.encode()).hex()


def signing_key() -> Ed25519PrivateKey:
    """Return the key that signs the server's requests to sandboxes: one for each SECRET_KEY."""
    from django.conf import settings

    return _signing_key(settings.SECRET_KEY)


def public_key() -> str:
    """Return the public half of ``signing_key``, for laptops and containers, in hex."""
    return signing_key().public_key().public_bytes_raw().hex()


@lru_cache(maxsize=4)
def _signing_key(secret_key: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = bytes.fromhex(_derive(secret_key, "requests of the server to sandboxes"))
    return Ed25519PrivateKey.from_private_bytes(seed)


def _box() -> MultiFernet:
    # Imported here to keep the settings' import cheap: only the server encrypts.
    from cryptography.fernet import Fernet, MultiFernet
    from django.conf import settings

    return MultiFernet([Fernet(key) for key in settings.MESH_ENCRYPTION_KEYS])
