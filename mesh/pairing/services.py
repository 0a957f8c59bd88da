"""A machine asks for a code, a person answers, and the machine collects its sign-in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.models import Client, Token
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError
from oauthlib.oauth2.rfc8628.errors import (
    AccessDenied,
    AuthorizationPendingError,
    ExpiredTokenError,
    SlowDownError,
)

from mesh.lib import oauth
from mesh.models import IssuedToken, Pairing, PairingState, User
from mesh.pairing.errors import CodeTooOld, CodeUsed, TooManyAsks, UnknownCode
from mesh.pairing.facts import Facts

ASKS_PER_ADDRESS: Final = 20  # in ten minutes; a whole office may share one address
OPEN_AT_MOST: Final = 1000
KEPT: Final = timedelta(hours=1)  # so that "too old" can be distinguished from "no such code"
EARLY: Final = timedelta(seconds=1)  # the network may deliver two polls closer together


def ensure_client() -> Client:
    """Return the one public client, ``mesh-link``; make it if it is missing."""
    grants = [oauth.DEVICE_GRANT, oauth.REFRESH_GRANT]
    client, _ = Client.objects.get_or_create(
        id=oauth.CLIENT_ID,
        defaults={
            "name": "Mesh link",
            "type": Client.Type.PUBLIC,
            "scopes": oauth.SCOPE,
            "default_scopes": oauth.SCOPE,
            "grant_types": "\n".join(grants),
            "response_types": "",
        },
    )
    return client


def check_rate(*, address: str) -> None:
    """Raises:
    TooManyAsks: this address, or all together, asked for too many codes.
    """
    now = timezone.now()
    _forget_old(now - KEPT)
    recent = Pairing.objects.filter(address=address, created_at__gt=now - timedelta(minutes=10))
    still_open = Pairing.objects.filter(state=PairingState.ASKED, expires_at__gt=now)
    if recent.count() >= ASKS_PER_ADDRESS or still_open.count() >= OPEN_AT_MOST:
        raise TooManyAsks


def ask(*, device_code: str, user_code: str, life: int, facts: Facts, address: str) -> Pairing:
    """Keep a machine's request under its two codes, valid for ``life`` seconds."""
    now = timezone.now()
    return Pairing.objects.create(
        device_code=hash_device_code(device_code),
        user_code=hash_user_code(user_code),
        hostname=facts.hostname,
        platform=facts.platform,
        machine_id=facts.machine_id,
        version=facts.version,
        address=address,
        created_at=now,
        expires_at=now + timedelta(seconds=life),
    )


def get_asked(*, viewer: User, user_code: str) -> Pairing:
    """Return the request with that code: unanswered, or answered by ``viewer``.

    Raises:
        UnknownCode, CodeTooOld, CodeUsed: there is nothing to show.
    """
    pairing = Pairing.objects.filter(user_code=hash_user_code(user_code)).first()
    if pairing is None:
        raise UnknownCode
    if pairing.state != PairingState.ASKED and pairing.user_id != viewer.pk:
        raise CodeUsed
    if pairing.expires_at is not None and pairing.expires_at <= timezone.now():
        raise CodeTooOld
    return pairing


def answer(*, user: User, pairing: Pairing, approve: bool) -> None:
    """Approve or deny a request; the first answer counts.

    Raises:
        CodeUsed: somebody has answered in the meantime, or the code has expired.
    """
    state = PairingState.APPROVED if approve else PairingState.DENIED
    waiting = Pairing.objects.filter(
        pk=pairing.pk, state=PairingState.ASKED, expires_at__gt=timezone.now()
    )
    if not waiting.update(state=state, user=user):
        raise CodeUsed
    pairing.state, pairing.user = state, user


def collect(*, device_code: str, interval: int) -> Pairing:
    """Turn the approved request with that code into a sign-in, once, and return it.

    This ends the person's earlier sign-ins of the same machine, which has lost their tokens.

    Raises:
        OAuth2Error: the errors of RFC 8628, section 3.5.
    """
    now = timezone.now()
    found = (
        Pairing.objects.select_related("user")
        .filter(device_code=hash_device_code(device_code))
        .first()
    )
    if found is None:
        raise InvalidGrantError
    if found.expires_at is None or found.expires_at <= now:
        raise ExpiredTokenError
    last = now - timedelta(seconds=interval) + EARLY
    rested = Q(polled_at=None) | Q(polled_at__lte=last)
    if not Pairing.objects.filter(rested, pk=found.pk).update(polled_at=now):
        raise SlowDownError
    if found.state == PairingState.ASKED:
        raise AuthorizationPendingError
    if found.state == PairingState.DENIED or found.user is None or not found.user.is_active:
        raise AccessDenied
    approved = Pairing.objects.filter(pk=found.pk, state=PairingState.APPROVED)
    if not approved.update(state=PairingState.PAIRED, device_code=None, expires_at=None):
        raise InvalidGrantError  # two simultaneous polls: the other was first
    found.state, found.device_code, found.expires_at = PairingState.PAIRED, None, None
    if found.machine_id:
        end(
            Pairing.objects.filter(
                user=found.user, machine_id=found.machine_id, state=PairingState.PAIRED
            ).exclude(pk=found.pk)
        )
    return found


def sign_out_machine(*, user: User, machine_id: str) -> int:
    """End every sign-in of the person's machine; return how many there were.

    Its tokens, paired or issued, stop working immediately, and its open connections end within
    seconds.
    """
    issued = IssuedToken.objects.filter(token__user=user, machine_id=machine_id)
    ended = issued.count()
    Token.objects.filter(issued__in=issued).delete()
    paired = Pairing.objects.filter(user=user, machine_id=machine_id, state=PairingState.PAIRED)
    return ended + end(paired)


def end(pairings: Iterable[Pairing]) -> int:
    """Delete these sign-ins with all their tokens; return how many there were."""
    ended = 0
    for pairing in pairings:
        with transaction.atomic():
            # First the machine, then its tokens: a renewal locks them in the same order.
            if not Pairing.objects.select_for_update().filter(pk=pairing.pk).exists():
                continue
            Token.objects.filter(user_id=pairing.user_id, data__pairing=str(pairing.pk)).delete()
            pairing.delete()
        ended += 1
    return ended


def hash_device_code(value: str) -> str:
    """Return the hash stored for a device code, which is long enough for a plain hash."""
    hashed: str = get_adapter().hash_token(value)
    return hashed


def hash_user_code(value: str) -> str:
    """Return the hash stored for a user code: keyed, because short codes are soon guessed."""
    return salted_hmac("mesh.pairing", normalize_user_code(value), algorithm="sha256").hexdigest()


def _forget_old(before: object) -> None:
    stale = Pairing.objects.filter(created_at__lte=before)
    stale.exclude(state=PairingState.PAIRED).delete()
    stale.filter(user_code__isnull=False).update(user_code=None)
