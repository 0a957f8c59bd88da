"""People and organizations."""

from __future__ import annotations

import re
from typing import Final

from allauth.idp.oidc.models import Token
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from mesh.lib.errors import AppError
from mesh.lib.roles import Permission, roles_with
from mesh.models import Membership, Organization, Pairing, Role, User
from mesh.pairing import services as pairing

# First words of Mesh's own addresses, below / and /api/, and some that may become one.
RESERVED_SLUGS: Final = frozenset(
    {
        *("accounts", "admin", "api", "app", "assets", "auth", "dist", "docs", "enter", "healthz"),
        *(
            "identity",
            "internal",
            "join",
            "link",
            "links",
            "login",
            "logout",
            "mcp",
            "media",
            "mesh",
        ),
        *(
            "new",
            "oauth",
            "panel",
            "schema",
            "settings",
            "signup",
            "static",
            "style",
            "threads",
            "tokens",
        ),
        *("tools", "well-known", "ws", "www"),
    }
)


MOST_OWNED: Final = 20  # organizations of one person
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?")


class AccountExists(AppError):
    code = "account_exists"
    hint = (
        "Somebody may have signed up with that name. Choose another, or take over the account"
        " with --existing, which sets a new password and signs its user out everywhere."
    )


class NoSuchAccount(AppError):
    code = "no_such_account"
    hint = "Leave out --existing to make the account."


class BadUserName(AppError):
    code = "bad_user_name"
    hint = "Choose another name, such as ada."


class BadOrganization(AppError):
    code = "bad_organization"
    text = "An organization needs a name, and a short name of letters a to z, digits and hyphens."
    hint = "Such as Acme Research and acme-research."


class SlugTaken(AppError):
    code = "slug_taken"
    text = "There is an organization with that short name already."
    hint = "Choose another short name."
    status = 409


class MayNotFound(AppError):
    code = "may_not_found_organizations"
    text = "Only owners and admins of an organization can make another one."
    hint = "Ask an owner or admin of yours."
    status = 403


class TooManyOrganizations(AppError):
    code = "too_many_organizations"
    text = f"You own {MOST_OWNED} organizations already."
    hint = "Hand one over, or use one that you have."
    status = 409


class SlugReserved(AppError):
    code = "slug_reserved"
    hint = "Choose another short name."


def make_home(*, username: str) -> User:
    """Return the owner of an embedded Mesh; make owner and organization ``home`` if missing.

    Safe to repeat: a second start changes nothing.
    """
    with transaction.atomic():
        user, is_new = User.objects.get_or_create(
            username=username, defaults={"is_staff": True, "is_superuser": True}
        )
        if is_new:
            # Signs in by the printed address; `manage.py changepassword` sets a password.
            user.set_unusable_password()
            user.save(update_fields=["password"])
        Membership.objects.get_or_create(
            organization=make_organization(slug="home", name="Home"),
            user=user,
            defaults={"role": Role.OWNER},
        )
    return user


def check_owner_name(*, username: str, is_existing: bool) -> None:
    """Refuse a name that ``make_owner`` would refuse, before asking for a password.

    Raises:
        AccountExists, NoSuchAccount, BadUserName: as ``make_owner``.
    """
    if is_existing:
        if not User.objects.filter(username=username).exists():
            raise NoSuchAccount(f"There is no account called {username!r}.")
        return
    # Ignore case, as sign-in does.
    if taken := User.objects.filter(username__iexact=username).first():
        raise AccountExists(f"There is already an account called {taken.username!r}.")
    try:
        User(username=username).clean_fields(exclude=["password"])
    except ValidationError as exc:
        raise BadUserName(" ".join(exc.messages)) from exc


@transaction.atomic
def make_owner(*, username: str, password: str, is_existing: bool = False) -> User:
    """Return the new owner of the organization ``home``, which is made if it is missing.

    An existing account is taken over only with ``is_existing``. Its user is then signed out
    everywhere: sessions, tokens, machines and the second factor are removed.

    Raises:
        AccountExists: the name is taken, and ``is_existing`` is not set.
        NoSuchAccount: ``is_existing`` is set, and there is no such account.
        BadUserName: the name is not valid for an account.
    """
    check_owner_name(username=username, is_existing=is_existing)
    user = User.objects.get(username=username) if is_existing else User(username=username)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)  # which ends the sessions, too
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as exc:  # somebody signed up with it at the same time
        raise AccountExists(f"There is already an account called {username!r}.") from exc
    pairing.end(Pairing.objects.filter(user=user))
    Token.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    Membership.objects.update_or_create(
        organization=make_organization(slug="home", name="Home"),
        user=user,
        defaults={"role": Role.OWNER},
    )
    return user


def may_found(user: User) -> bool:
    """Return whether a person may make an organization: staff, and who may invite to one.

    Otherwise a viewer could make one of their own, and start there what they may not start here.
    """
    inviting = Membership.objects.filter(user=user, role__in=roles_with(Permission.PEOPLE))
    return user.is_active and (user.is_staff or inviting.exists())


def found_organization(*, owner: User, name: str, slug: str) -> Organization:
    """Return a new organization with its first owner. ``slug`` is its part of addresses.

    Raises:
        MayNotFound: the person may make none.
        BadOrganization, SlugReserved, SlugTaken: the names can't be used.
        TooManyOrganizations: the person owns as many as a person may.
    """
    if not may_found(owner):
        raise MayNotFound
    name = name.strip()
    if not name or len(name) > 120 or not _SLUG.fullmatch(slug):
        raise BadOrganization
    if slug in RESERVED_SLUGS:
        raise SlugReserved(f"An organization can't be called {slug!r}: Mesh uses that address.")
    try:
        with transaction.atomic():
            # Two tabs of one person: the second counts what the first has made.
            User.objects.select_for_update(no_key=True).filter(pk=owner.pk).first()
            owned = Membership.objects.filter(user=owner, role=Role.OWNER)
            if owned.count() >= MOST_OWNED:
                raise TooManyOrganizations
            organization = Organization.objects.create(slug=slug, name=name)
            Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
    except IntegrityError as exc:  # the constraint decides between two at the same time
        raise SlugTaken from exc
    return organization


def make_organization(*, slug: str, name: str) -> Organization:
    """Return the organization ``slug``; make it if it is missing. Safe to repeat.

    Raises:
        SlugReserved: the slug is the first word of one of Mesh's own addresses.
    """
    if slug in RESERVED_SLUGS:
        raise SlugReserved(f"An organization can't be called {slug!r}: Mesh uses that address.")
    organization, _ = Organization.objects.get_or_create(slug=slug, defaults={"name": name})
    return organization
