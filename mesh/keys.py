"""Secrets that an embedded Mesh makes for itself, and the box that keeps others at rest.

Imported by the settings, so nothing here may read them at import.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


def make_secret() -> str:
    """Return a new key for Django's signatures."""
    return secrets.token_urlsafe(48)


def make_fernet() -> str:
    """Return a new Fernet key (32 random bytes, base64url)."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """Return the text of ``path``; make it first, readable by the owner only, if it is missing.

    Several may start at once: the first to put the file in place decides for all.
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
        os.link(draft, path)  # fails where the other process was first, and never overwrites
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()


def seal(text: str) -> str:
    """Return ``text`` encrypted under the newest of the settings' keys."""
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what ``seal`` was given; any of the settings' keys opens it."""
    return _box().decrypt(sealed.encode()).decode()


def reseal(sealed: str) -> str:
    """Return the same secret under the newest key.

    Raises:
        cryptography.fernet.InvalidToken: none of the settings' keys opens it.
    """
    return _box().rotate(sealed.encode()).decode()


def derive(purpose: str) -> str:
    """Return the key for ``purpose``: the same in each process with the same SECRET_KEY."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from django.conf import settings

    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"mesh: {purpose}".encode())
    return derived.derive(settings.SECRET_KEY.encode()).hex()


def _box() -> MultiFernet:
    # Only the server has secrets to seal: the settings' import stays cheap for the rest.
    from cryptography.fernet import Fernet, MultiFernet
    from django.conf import settings

    return MultiFernet([Fernet(key) for key in settings.MESH_ENCRYPTION_KEYS])
