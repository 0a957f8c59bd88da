"""An authenticator app, as far as the tests need one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

PERIOD = 30


def code_of(secret: str, *, ahead: int = 0) -> str:
    """Return the code that the app shows now, or ``ahead`` periods later (RFC 6238)."""
    counter = (int(time.time()) // PERIOD + ahead).to_bytes(8, "big")
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def set_up(user) -> str:
    """Give ``user`` an authenticator app and recovery codes; return the app's secret."""
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return secret
