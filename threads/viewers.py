"""Who reads a stream, and whether they still may: a stream outlives a sign-in and a membership."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest

from mesh.accounts import bearer, find_persons_sign_in
from mesh.models import User
from threads import selectors
from threads.errors import Unauthorized

# Seconds: who lost a right reads on for so long, at most.
LOOK_EVERY: Final = 5.0


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person, and what they showed: a token, or the key of a browser's session."""

    user: User
    token: str = ""
    session_key: str = ""

    def is_signed_in(self) -> bool:
        """Say whether what they showed still opens the door. Two queries."""
        if self.token:
            return find_persons_sign_in(self.token) is not None
        if self.session_key and not _sessions().exists(self.session_key):
            return False
        return User.objects.filter(pk=self.user.pk, is_active=True).exists()

    def may_read(self, thread_ids: Collection[UUID]) -> set[UUID]:
        """Return those of the threads that they may read now. One query."""
        return selectors.find_visible(viewer=self.user, thread_ids=thread_ids)


def _sessions() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore()


def viewer_of(request: HttpRequest) -> Viewer:
    """Return who asks.

    Raises:
        Unauthorized: nobody we know.
        PersonsOnly: a machine's token.
    """
    token = bearer(request.headers.get("Authorization", ""))
    found = find_persons_sign_in(token) if token else None
    user = (found.user if found else None) if token else request.user
    if not isinstance(user, User) or not user.is_active:
        raise Unauthorized
    return Viewer(user, token=token or "", session_key=request.session.session_key or "")
