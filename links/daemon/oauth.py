"""The laptop's four OAuth requests, and the validation of their answers.

All of them block: call them in a worker thread.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from links.daemon import web
from mesh.lib import oauth

_USER_CODE: Final = re.compile(r"[A-Za-z0-9-]{4,20}", re.ASCII)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)
_RENEW_AT: Final = 0.8  # of a token's lifetime: the rest is reserve for an unavailable server


class Refused(Exception):
    """The server refused; ``error`` is OAuth's error code."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class UnexpectedAnswer(Exception):
    """The answer is not one of a Mesh server; the text says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The codes to show to the person, and the code to poll with."""

    device_code: str
    user_code: str
    uri: str
    uri_complete: str
    expires_in: float
    interval: float

    @classmethod
    def parse(cls, value: Any) -> Codes:
        """Return the codes in an answer; they will be printed, so they must be plain text.

        Raises:
            UnexpectedAnswer: see there.
        """
        fields = _object(value)
        user_code = fields.get("user_code")
        if not isinstance(user_code, str) or not _USER_CODE.fullmatch(user_code):
            raise UnexpectedAnswer("A code was expected.")
        uri = _web_address(fields.get("verification_uri"))
        return cls(
            device_code=_secret(fields.get("device_code")),
            user_code=user_code,
            uri=uri,
            uri_complete=_web_address(fields.get("verification_uri_complete", uri)),
            expires_in=_seconds(fields.get("expires_in"), most=3600),
            interval=_seconds(fields.get("interval", 5), most=60),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Times are seconds of this machine's wall clock."""

    access: str
    refresh: str
    renew_at: float
    expires_at: float

    @classmethod
    def parse(cls, value: Any, *, now: float) -> Tokens:
        """Return the tokens in an answer.

        Raises:
            UnexpectedAnswer: see there.
        """
        fields = _object(value)
        life = _seconds(fields.get("expires_in"), most=10**8)
        return cls(
            access=_secret(fields.get("access_token")),
            refresh=_secret(fields.get("refresh_token")),
            renew_at=now + life * _RENEW_AT,
            expires_at=now + life,
        )


def ask_code(server: str, facts: Mapping[str, str]) -> Codes:
    """Request a code; ``facts`` tell the person which machine asks.

    Raises:
        web.Unreachable, Refused, UnexpectedAnswer: no code was issued.
    """
    return Codes.parse(_post(server, oauth.DEVICE_CODE, scope=oauth.SCOPE, **facts))


def collect(server: str, device_code: str, *, now: float) -> Tokens:
    """Return the tokens for an approved code.

    Raises:
        web.Unreachable, Refused, UnexpectedAnswer: not yet approved, or refused.
    """
    answer = _post(server, oauth.TOKEN, grant_type=oauth.DEVICE_GRANT, device_code=device_code)
    return Tokens.parse(answer, now=now)


def renew(server: str, refresh_token: str, *, now: float) -> Tokens:
    """Return new tokens for a refresh token.

    Raises:
        web.Unreachable, Refused, UnexpectedAnswer: no tokens were issued.
    """
    form = {"grant_type": oauth.REFRESH_GRANT, "refresh_token": refresh_token}
    return Tokens.parse(_post(server, oauth.TOKEN, **form), now=now)


def revoke(server: str, token: str) -> None:
    """Sign this machine out.

    Raises:
        web.Unreachable, Refused: the server did not revoke it.
    """
    _post(server, oauth.REVOKE, token=token)


def _post(server: str, path: str, **form: str) -> Any:
    status, body = web.send(
        f"{server}/{path}",
        method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode({"client_id": oauth.CLIENT_ID, **form}).encode(),
    )
    value = web.parse_json(body)
    if status == 200:
        return value
    error = value.get("error") if isinstance(value, dict) else None
    # Only 400 is OAuth's refusal. Any other status may come from a proxy or a passing failure.
    if status == 400 and isinstance(error, str):
        raise Refused(error)
    if 300 <= status < 400:
        raise UnexpectedAnswer(f"{server} redirects: use the address at which a browser ends up.")
    if status == 404:
        raise UnexpectedAnswer(f"There is no Mesh at {server}, or it is too old to link machines.")
    raise web.Unreachable(f"The server answered HTTP {status}.")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnexpectedAnswer("A JSON object was expected: this is not a Mesh server.")
    return value


def _secret(value: Any) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise UnexpectedAnswer("A token was expected.")
    return value


def _seconds(value: Any, *, most: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise UnexpectedAnswer("A number of seconds was expected.")
    return min(float(value), most)


def _web_address(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 500 and value.isascii() and value.isprintable():
        try:
            parts = urlsplit(value)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme in {"http", "https"} and parts.hostname and " " not in value:
            return value
    raise UnexpectedAnswer("A web address was expected.")
