"""The kinds of sandbox: one class each, found by the kind's name."""

from __future__ import annotations

from functools import cache

from mesh.lib.errors import AppError
from sandboxes.providers.base import SandboxProvider
from sandboxes.providers.remote_user import RemoteUserProvider

_PROVIDERS: dict[str, type[SandboxProvider]] = {"remote-user": RemoteUserProvider}


class UnknownKind(AppError):
    code = "unknown_kind"
    text = "There is no such kind of sandbox."
    hint = "Use “remote-user”."


@cache
def provider_for(kind: str) -> SandboxProvider:
    """Return the provider of ``kind``, one for the whole process.

    Raises:
        UnknownKind: there is none.
    """
    if kind not in _PROVIDERS:
        raise UnknownKind
    return _PROVIDERS[kind]()
