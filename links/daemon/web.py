"""Plain HTTP from the laptop to its server, with the standard library: it loads fast."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from links.wire.addresses import LOOPBACK

TIMEOUT: Final = 10.0
_LARGEST: Final = 1024 * 1024


class Unreachable(Exception):
    """The server can't be reached, or refuses for now; trying again may help."""


def send(
    url: str,
    *,
    method: str,
    headers: dict[str, str],
    body: bytes | None = None,
    timeout: float = TIMEOUT,
) -> tuple[int, bytes]:
    """Return status and body of the answer, whatever the status. Blocks: call it in a thread.

    Raises:
        Unreachable: there was no answer.
    """
    try:
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310
        with opener(url).open(request, timeout=timeout) as answer:
            return answer.status, answer.read(_LARGEST)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read(_LARGEST)
    except (OSError, HTTPException, ValueError) as exc:  # a bad URL is the last of them
        raise Unreachable(f"The server can't be reached: {exc}") from exc


def opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens ``url``: through the system's proxy where one is due, no redirects."""
    handlers: list[Any] = [_NoRedirect]
    if urlsplit(url).hostname in LOOPBACK:  # the system's proxy could not reach it
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def parse_json(body: bytes) -> Any:
    """Return what the body says, or ``None`` if it is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Tokens and secrets go to the named server only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
