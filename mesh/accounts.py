"""Who may make an account: Mesh's adapter for allauth."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import render

from mesh.client_address import address_of
from mesh.invitations import IN_SESSION, InvitationRefused, get_invitation, invitation_in, join
from mesh.models import Membership, Role, User


def owners() -> QuerySet[Membership]:
    """Return the memberships of active owners."""
    return Membership.objects.filter(role=Role.OWNER, user__is_active=True)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Lets invited people make an account, and everybody if the operator opens sign-up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether sign-up is open.

        Never before there is an owner, nor on an embedded Mesh, which has one person.
        """
        if settings.MESH_EMBEDDED or not owners().exists():
            return False
        return bool(settings.MESH_OPEN_SIGNUP) or invitation_in(request) is not None

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Save a new account, as a member of the organization that it was invited to.

        Raises:
            ImmediateHttpResponse: somebody else has used the invitation in the meantime; no
                account was made.
        """
        named = request.session.get(IN_SESSION, "")
        try:
            with transaction.atomic():
                saved: User = super().save_user(request, user, form, commit)
                if named:
                    join(user=saved, invitation=get_invitation(str(named)))
        except InvitationRefused as exc:
            if not self.is_open_for_signup(request):
                refusal = render(request, "join_refused.html", {"error": exc}, status=exc.status)
                raise ImmediateHttpResponse(refusal) from exc
            del request.session[IN_SESSION]  # anybody may sign up, only not into this organization
            return self.save_user(request, user, form, commit)
        request.session.pop(IN_SESSION, None)
        return saved

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the key under which allauth's rate limits count the caller."""
        return address_of(request) or "unknown"

    def is_safe_url(self, url: str) -> bool:
        """Return whether people may be sent to ``url`` once they are signed in."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:  # half an IPv6 address, which allauth parses without a guard
            return False
