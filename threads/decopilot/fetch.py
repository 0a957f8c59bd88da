"""Fetches public pages for the model, and none that only this server can reach."""

from __future__ import annotations

import asyncio
import re
from typing import Final

import httpx

from agents.harness.decopilot.memory import cut
from mesh.egress import AddressRefused, Guard, GuardedTransport
from mesh.http_client import Limits
from threads.decopilot.files import ToolFailed
from threads.decopilot.web_page import text_of

BYTES_LIMIT: Final = 3 * 1024 * 1024
TEXT_LIMIT: Final = 50_000  # characters for the model
REDIRECTS: Final = 5
WAIT: Final = 20.0  # seconds for each step
WHOLE_WAIT: Final = 60.0  # seconds for all of it
LIMITS: Final = Limits(body=2 * BYTES_LIMIT, stream=2 * BYTES_LIMIT)  # _get cuts before that
_TEXTUAL: Final = re.compile(r"text/|.*(json|xml|javascript|yaml|toml)")
_AGENT: Final = "Mesh-Decopilot/1 (fetches what a person's agent asks for)"


async def fetch(url: str, *, guard: Guard | None = None) -> str:
    """Return the text of the page at ``url``, preceded by its final address.

    Raises:
        ToolFailed: it can't be fetched, or is not text; the sentence says why.
    """
    if not url.startswith(("http://", "https://")):
        raise ToolFailed("Give a whole address that begins with https:// or http://.")
    # No allowed private hosts here: the model may have the address from a page it has read.
    transport = GuardedTransport(guard or Guard(plain=True), limits=LIMITS)
    try:
        async with (
            asyncio.timeout(WHOLE_WAIT),
            httpx.AsyncClient(
                transport=transport,
                trust_env=False,
                timeout=WAIT,
                follow_redirects=True,
                max_redirects=REDIRECTS,
                headers={"user-agent": _AGENT},
            ) as client,
        ):
            return await _get(client, url)
    except AddressRefused as exc:
        raise ToolFailed("Only public addresses can be fetched.") from exc
    except httpx.TooManyRedirects as exc:
        raise ToolFailed("The page redirects too many times.") from exc
    except httpx.TimeoutException as exc:
        raise ToolFailed(f"There was no answer within {WAIT:.0f} seconds.") from exc
    except TimeoutError as exc:
        raise ToolFailed(f"The page did not load within {WHOLE_WAIT:.0f} seconds.") from exc
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        raise ToolFailed(f"The page could not be fetched: {str(exc)[:200]}") from exc


async def _get(client: httpx.AsyncClient, url: str) -> str:
    async with client.stream("GET", url) as reply:
        if not reply.is_success:
            raise ToolFailed(f"The server answered {reply.status_code}.")
        content_type = reply.headers.get("content-type", "text/plain")
        kind = content_type.partition(";")[0].strip().lower()
        if not _TEXTUAL.match(kind):
            raise ToolFailed(f"This is {kind}, which can't be read as text.")
        body = bytearray()
        async for piece in reply.aiter_bytes():
            body += piece
            if len(body) > BYTES_LIMIT:
                break
        # In a worker thread: parsing a large page takes a while.
        shown = await asyncio.to_thread(text_of, bytes(body[:BYTES_LIMIT]), content_type)
        return f"{reply.url}\n\n{cut(shown, TEXT_LIMIT)}"
