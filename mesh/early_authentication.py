"""Whether a request carries a valid token or session, checked before its body is read."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.http import parse_cookie
from django.utils import timezone

from mesh import database_pool
from mesh.credentials import Credential, find_good
from mesh.database_errors import DATABASE_AWAY
from mesh.tokens import bearer, find_sign_in


async def is_signed_in(scope: Any) -> bool:
    """Return whether an HTTP request's headers carry a valid token or session cookie.

    False if the database can't be reached: the request would fail anyway.
    """
    token = bearer(_header(scope, b"authorization"))
    session = parse_cookie(_header(scope, b"cookie")).get(settings.SESSION_COOKIE_NAME, "")
    try:
        if token:
            return await database_pool.rights.run(find_sign_in, token) is not None
        return bool(session) and await database_pool.rights.run(_is_good_session, session)
    except DATABASE_AWAY:
        return False


def _is_good_session(key: str) -> bool:
    row = Session.objects.filter(pk=key, expire_date__gt=timezone.now()).first()
    user_id = str(row.get_decoded().get(SESSION_KEY, "")) if row else ""
    if not user_id.isdecimal():
        return False
    return bool(find_good([Credential(int(user_id), session_key=key)]))


def _header(scope: Any, name: bytes) -> str:
    value: bytes = next((value for key, value in scope["headers"] if key == name), b"")
    return value.decode("latin-1")
