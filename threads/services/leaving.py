"""A person leaves an organization or is removed from it, and what becomes of their chats there."""

from __future__ import annotations

from enum import StrEnum

from allauth.idp.oidc.models import Token
from django.db import transaction
from django.utils import timezone

from links.models import Link
from links.services import revoke
from mesh import services
from mesh.lib.errors import AppError
from mesh.models import Membership, Organization, Pairing, User
from mesh.pairing.services import end
from threads.models import Thread


class Chats(StrEnum):
    """What becomes of the chats of somebody who is no member any more."""

    KEEP = "keep"  # nobody sees them; they are there again if the person comes back
    HAND_OVER = "hand_over"  # to whoever removes the person
    DELETE = "delete"  # as if the person had deleted each


class UnknownChoice(AppError):
    code = "unknown_choice"
    text = "Say what is to become of the chats."
    hint = "Choose one of the list."


def remove_member(*, actor: User, organization: Organization, member_id: int, chats: Chats) -> User:
    """Remove a member, or let the actor leave, and return the person.

    Streams, sockets, sandboxes and runs end within seconds. A person who is in no organization
    any more is signed out on their machines, and their tokens are revoked; their account stays.
    All of it is one transaction: it happens, or nothing does.

    Raises:
        UnknownChoice: the actor, who leaves, can't hand over to themselves.
        NotFound, RoleAboveOwn, LastOwner: as ``mesh.services.end_membership``.
    """
    with transaction.atomic():
        person = services.end_membership(
            actor=actor, organization=organization, member_id=member_id
        )
        # Their runs are stopped as those of everybody without access.
        theirs = Thread.objects.filter(owner=person, organization=organization, deleted_at=None)
        if chats == Chats.DELETE:
            theirs.update(deleted_at=timezone.now())
        elif chats == Chats.HAND_OVER:
            if person == actor:
                raise UnknownChoice
            theirs.update(handing_to=actor)
        if not Membership.objects.filter(user=person).exists():
            _sign_out_machines(person)
    return person


def _sign_out_machines(person: User) -> None:
    for link in Link.objects.select_related("user").filter(user=person):
        revoke(link=link)
    end(Pairing.objects.filter(user=person))
    Token.objects.filter(user=person).delete()
