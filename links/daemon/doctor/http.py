"""The doctor's HTTP requests: the link's own, plus details of the answer."""

from __future__ import annotations

import contextlib
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

from links.daemon import web
from links.wire.addresses import LOOPBACK

TIMEOUT: Final = 8.0
_LARGEST: Final = 1024 * 1024


class NoAnswer(Exception):
    """No answer came; the text says why, and repeats nothing that was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``clock_ahead``: seconds by which the server's clock is ahead of ours, if it sent a date."""

    status: int
    value: Any
    clock_ahead: float | None


def get(url: str, *, token: str = "", timeout: float = TIMEOUT) -> Answer:
    """Return the answer, whatever its status. Blocks.

    Raises:
        NoAnswer: no answer came.
    """
    began = time.time()
    with opened(url, token=token, timeout=timeout) as response:
        middle = (began + time.time()) / 2
        try:
            body = response.read(_LARGEST)
        except (OSError, HTTPException) as exc:
            raise NoAnswer(why(exc)) from exc
        return Answer(
            response.status, web.parse_json(body), _ahead(response.headers.get("Date"), middle)
        )


@contextlib.contextmanager
def opened(url: str, *, token: str = "", timeout: float = TIMEOUT) -> Iterator[HTTPResponse]:
    """Yield the answer as soon as its head has arrived.

    Raises:
        NoAnswer: no answer came.
    """
    headers = {"Accept": "application/json, text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310
        response = web.opener(url).open(request, timeout=timeout)
    except urllib.error.HTTPError as exc:
        response = exc  # also an answer
    except (OSError, HTTPException, ValueError) as exc:
        raise NoAnswer(why(exc)) from exc
    with response:
        yield response


def why(exc: BaseException) -> str:
    """Return in a few words why a connection failed."""
    reason = getattr(exc, "reason", exc)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {reason.verify_message}"
    if isinstance(reason, TimeoutError):
        return "it did not answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


def proxy_of(url: str) -> str:
    """Return the proxy for requests to ``url``, without its password; empty for none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK or urllib.request.proxy_bypass(host):
        return ""
    found = urllib.request.getproxies()
    proxy = found.get(parts.scheme) or found.get("all") or ""
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""


def _ahead(date: str | None, ours: float) -> float | None:
    try:
        # A Date is truncated to whole seconds: half a second more is the better estimate.
        return parsedate_to_datetime(date or "").timestamp() + 0.5 - ours
    except (TypeError, ValueError):
        return None


def error_sentence(value: Any) -> str:
    """Return the sentence in one of Mesh's error answers; empty if there is none."""
    error = value.get("error") if isinstance(value, dict) else None
    return str(error.get("message", "")) if isinstance(error, dict) else ""
