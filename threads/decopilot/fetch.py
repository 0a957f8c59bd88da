"""Fetching a public page for the model: never from where only this server can go."""

from __future__ import annotations

import asyncio
import re
import time
from html.parser import HTMLParser
from typing import Final

import httpx

from agents.harness.decopilot.memory import cut
from mesh.answers import Limits
from mesh.egress import AddressRefused, Guard, GuardedTransport
from threads.decopilot.files import ToolFailed

BYTES_LIMIT: Final = 3 * 1024 * 1024
TEXT_LIMIT: Final = 50_000  # characters for the model
REDIRECTS: Final = 5
WAIT: Final = 20.0  # seconds for each step
WHOLE_WAIT: Final = 60.0  # seconds for all of it
READING_LIMIT: Final = 5.0  # seconds for understanding the page
FED: Final = 16 * 1024  # characters that the parser is given at once, and may keep
LIMITS: Final = Limits(body=2 * BYTES_LIMIT, stream=2 * BYTES_LIMIT)  # what is longer is cut before
_TEXTUAL: Final = re.compile(r"text/|.*(json|xml|javascript|yaml|toml)")
_AGENT: Final = "Mesh-Decopilot/1 (fetches what a person's agent asks for)"


async def fetch(url: str, *, guard: Guard | None = None) -> str:
    """Return the text of the page at ``url``, its address in front.

    Raises:
        ToolFailed: it can't be fetched, or is no text; the sentence says why.
    """
    if not url.startswith(("http://", "https://")):
        raise ToolFailed("Give a whole address that begins with https:// or http://.")
    # Nobody's allowance counts here: what a model asks for may come from a page it has read.
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
        raise ToolFailed("The page leads from one address to the next without end.") from exc
    except httpx.TimeoutException as exc:
        raise ToolFailed(f"There was no answer within {WAIT:.0f} seconds.") from exc
    except TimeoutError as exc:
        raise ToolFailed(f"The page did not come within {WHOLE_WAIT:.0f} seconds.") from exc
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        raise ToolFailed(f"The page could not be fetched: {str(exc)[:200]}") from exc


async def _get(client: httpx.AsyncClient, url: str) -> str:
    async with client.stream("GET", url) as reply:
        if not reply.is_success:
            raise ToolFailed(f"The server answered {reply.status_code}.")
        kind = reply.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
        if not _TEXTUAL.match(kind):
            raise ToolFailed(f"This is {kind}, which can't be read as text.")
        body = bytearray()
        async for piece in reply.aiter_bytes():
            body += piece
            if len(body) > BYTES_LIMIT:
                break
        text = bytes(body).decode(reply.charset_encoding or "utf-8", errors="replace")
        # In a thread: a large page takes a while to understand.
        shown = await asyncio.to_thread(plain_text, text) if "html" in kind else text
        return f"{reply.url}\n\n{cut(shown, TEXT_LIMIT)}"


def plain_text(html: str) -> str:
    """Return what a person reads of a page: no scripts, no styles, links with their targets.

    What the parser can't make sense of is left out, and so is the rest of a page that it takes
    too long for: its time grows with the square of what it holds.
    """
    reader = _Reader()
    deadline = time.monotonic() + READING_LIMIT
    for start in range(0, len(html), FED):
        reader.feed(html[start : start + FED])
        reader.keep_little()
        if time.monotonic() > deadline:
            break
    else:
        reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reader(HTMLParser):
    hidden = frozenset({"script", "style", "noscript", "template", "svg", "head"})
    blocks = frozenset(
        (
            *("p", "div", "section", "article", "header", "footer", "main", "aside", "nav"),
            *("li", "ul", "ol", "dt", "dd", "table", "tr", "pre", "blockquote", "form", "br"),
            *("h1", "h2", "h3", "h4", "h5", "h6", "title", "hr", "figure"),
        )
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0
        self._link = ""

    def keep_little(self) -> None:
        """Drop the middle of what was begun and does not end, such as a tag or a script: its
        first characters say what it is, and the last ones may begin its end."""
        if len(self.rawdata) > FED:
            self.rawdata = self.rawdata[:16] + self.rawdata[-16:]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.hidden:
            self._hidden += 1
        elif tag in self.blocks:
            self.pieces.append("\n- " if tag == "li" else "\n")
        if tag == "a":
            self._link = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag in self.hidden:
            self._hidden = max(0, self._hidden - 1)
        elif tag in self.blocks:
            self.pieces.append("\n")
        if tag == "a" and self._link.startswith("http") and not self._hidden:
            self.pieces.append(f" ({self._link})")
            self._link = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)
