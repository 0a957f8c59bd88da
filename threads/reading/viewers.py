"""The person who reads a stream, and the rights that it needs: a stream may outlive them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest

from mesh.connection_checks import Right
from mesh.credentials import Credential, credential_of, find_good
from mesh.lib.errors import Unauthorized
from mesh.models import User
from mesh.tokens import bearer, find_persons_sign_in
from threads import selectors


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person, and their credential: a token, or a browser's session."""

    user: User
    credential: Credential

    @property
    def signed_in(self) -> Right:
        """The right that lasts as long as the credential."""
        return Right(find_good, self.credential)

    def reads(self, thread_id: UUID) -> Right:
        """The right to read a thread."""
        return Right(selectors.find_readable, (self.user.pk, thread_id))

    def may_read(self, thread_ids: Collection[UUID]) -> set[UUID]:
        """Return those of the threads that they may read now. One query."""
        return selectors.find_visible(viewer=self.user, thread_ids=thread_ids)


def viewer_of(request: HttpRequest) -> Viewer:
    """Return the viewer who sent the request.

    Raises:
        Unauthorized: the request has no valid credential.
        PersonsOnly: it has a machine's token.
    """
    token = bearer(request.headers.get("Authorization", ""))
    found = find_persons_sign_in(token) if token else None
    user = (found.user if found else None) if token else request.user
    if not isinstance(user, User) or not user.is_active:
        raise Unauthorized
    return Viewer(user, credential_of(user, sign_in=found, session=request.session))
