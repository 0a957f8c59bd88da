"""An authenticator app, as far as the tests need one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from types import SimpleNamespace

import pytest

PERIOD = 30


@pytest.fixture
def still_period(monkeypatch):
    """Stop the clock that codes are made and checked with: none grows old on its way."""
    now = time.time()
    clock = SimpleNamespace(time=lambda: now)
    monkeypatch.setattr("allauth.mfa.totp.internal.auth.time", clock)
    monkeypatch.setattr(f"{__name__}.time", clock)


def give_code(browser, address: str, secret: str) -> None:
    """Post the app's code to a running Mesh; once more if its period ended on the way."""
    first = code_of(secret)
    browser.post(address, code=first)
    if not browser.is_signed_in and (second := code_of(secret)) != first:
        browser.post(address, code=second)


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
