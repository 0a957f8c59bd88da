"""Whether a session has proven a second factor, and whether the admin requires that."""

from __future__ import annotations

from typing import Any, Final

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from mesh.models import User

# Recovery codes replace one of these; alone they are not a second factor.
_KINDS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def has_second_factor(user: User | AnonymousUser) -> bool:
    """Return whether ``user`` has set up a second factor."""
    return bool(is_mfa_enabled(user, _KINDS))


def is_proven(request: HttpRequest) -> bool:
    """Return whether this session has proven a second factor that its person still has.

    A session older than the second factor must prove it like any other.
    """
    if not isinstance(request.user, User) or not has_second_factor(request.user):
        return False
    records = get_authentication_records(request, request.user)
    return any(record.get("method") == "mfa" for record in records)


def is_missing(request: HttpRequest) -> bool:
    """Return whether this session must prove a second factor before it may use the admin."""
    assert isinstance(request.user, User)
    is_asked_for = settings.MESH_ADMIN_SECOND_FACTOR or has_second_factor(request.user)
    return is_asked_for and not is_proven(request)


def connect() -> None:
    """Count setting up a second factor as proof, because its first code has just been checked."""
    signals.authenticator_added.connect(_record, dispatch_uid="mesh.second_factor")


def _record(
    *, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any
) -> None:
    if authenticator.type in _KINDS:
        about = {"id": authenticator.pk, "type": str(authenticator.type)}
        # So a person who has just entered a code sees the recovery codes without another one.
        record_authentication(request, user, "mfa", reauthenticated=True, **about)
