"""This machine's tokens: their storage and renewal.

Renewal runs beside the connection and never ends it. While the server answers 401, 403, 5xx or
not at all, renewal is retried without limit; only ``invalid_grant`` from its token endpoint means
that the machine must be paired again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final, Protocol

from links.daemon import oauth, web
from links.daemon.clock import Clock
from links.daemon.config import Config, own_command
from links.daemon.errors import NoToken, PairAgain
from links.daemon.oauth import Tokens
from mesh.lib.backoff import Backoff
from mesh.plain_files import new_plain, open_plain, read_plain

logger = logging.getLogger(__name__)

LOCK_WITHIN: Final = 20.0  # seconds; the holder waits for a server that may be slow
_STEP: Final = 0.05
MAX_SLEEP: Final = 60.0  # seconds until a machine that slept checks the clock again


class RenewalFailed(Exception):
    """There is no valid token now; a later attempt may succeed."""


class TokenSource(Protocol):
    """Provides the bearer token for each connection.

    ``renews`` says whether a refused token may be followed by a valid one.
    """

    renews: bool

    async def token(self) -> str:
        """Return the token to use now.

        Raises:
            NoToken, PairAgain: there is none, and waiting does not help.
            RenewalFailed: there is none now.
        """

    def mark_refused(self, token: str) -> None:
        """Record that the server answered 401 to ``token``: return another one next time."""

    async def keep_fresh(self) -> None:
        """Renew the token before it expires, until cancelled."""

    def forget(self) -> None:
        """Delete what this program itself has stored; the server is not told."""


class TokenFile:
    """A token in a file that somebody else writes and may replace at any time."""

    renews = False

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        try:
            token = _token_in(self._path.read_text().strip())
        except OSError as exc:
            raise NoToken(f"{self._path} can't be read: {exc.strerror}.") from exc
        if not token:
            raise NoToken(f"{self._path} is empty.")
        return token

    def mark_refused(self, token: str) -> None:
        pass

    async def keep_fresh(self) -> None:
        return

    def forget(self) -> None:
        pass


class TokenStore:
    """The tokens for one server, in a file that only its owner can read."""

    def __init__(self, home: Path, server: str) -> None:
        self.server = server
        # Readable, and distinct for each server: scheme, port and path count.
        name = re.sub(r"[^a-z0-9.-]+", "_", server.partition("://")[2].lower())[:60]
        digest = hashlib.sha256(server.encode()).hexdigest()[:8]
        self.path = folder_of(home) / f"{name}-{digest}.json"

    def read(self) -> Tokens | None:
        """Return the stored tokens; ``None`` if there are none, or the file is malformed.

        Raises:
            RenewalFailed: the file can't be read now.
        """
        try:
            return parse(read_plain(self.path), self.server)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise RenewalFailed(f"{self.path} can't be read: {exc}.") from exc

    def write(self, tokens: Tokens) -> None:
        """Replace the stored tokens with ``tokens``; a power cut leaves the old or the new ones."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path.with_suffix(f".{os.getpid()}.new")
        handle = new_plain(draft)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"server": self.server, **asdict(tokens)}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself must survive a power cut
        finally:
            os.close(folder)

    def forget(self) -> None:
        """Delete the stored tokens. Safe to repeat."""
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this machine from renewing meanwhile. Blocks.

        Raises:
            RenewalFailed: another process holds the lock for too long.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = open_plain(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT)
        except OSError as exc:
            raise RenewalFailed(f"{self.path} can't be locked: {exc}.") from exc
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)  # which unlocks it


class TokenKeeper:
    """The tokens of a paired machine."""

    renews = True

    def __init__(
        self,
        store: TokenStore,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._now = now
        self._sleep = sleep
        self._refused = ""

    async def token(self) -> str:
        held = self._read()
        try:
            return (await self._fresh(held)).access
        except RenewalFailed:
            # Still valid, though due for renewal.
            if held.access == self._refused or held.expires_at <= self._now():
                raise
            return held.access

    def mark_refused(self, token: str) -> None:
        self._refused = token

    def forget(self) -> None:
        self._store.forget()

    async def keep_fresh(self) -> None:
        backoff = Backoff(first=2.0, ceiling=MAX_SLEEP)
        while True:
            try:
                await self._wait_until_due()
                await self._fresh(self._read())
            except PairAgain:
                return  # the next connection reports it; the server ends an open one
            except RenewalFailed as exc:
                wait = backoff.next()
                logger.warning(
                    "link to %s: token renewal failed, retrying in %.0f s: %s",
                    self._store.server,
                    wait,
                    exc,
                )
                await self._sleep(wait)
            else:
                backoff.tries = 0

    async def _wait_until_due(self) -> None:
        # No event reports a wake-up, or a renewal by another process: check the clock and file.
        while (remaining := self._read().renew_at - self._now()) > 0:
            await self._sleep(min(remaining, MAX_SLEEP))

    async def _fresh(self, held: Tokens) -> Tokens:
        if self._is_fresh(held):
            return held
        # In a worker thread, which finishes even if this task is cancelled: an answer is always
        # stored.
        return await asyncio.to_thread(self._renew, held)

    def _is_fresh(self, held: Tokens) -> bool:
        return held.access != self._refused and self._now() < held.renew_at

    def _read(self) -> Tokens:
        held = self._store.read()
        if held is None:
            raise self._pair_again()
        return held

    def _renew(self, stale: Tokens) -> Tokens:
        with self._store.locked():
            held = self._read()
            if held.access != stale.access and self._is_fresh(held):
                return held  # another process has renewed it
            tokens = self._request(held)
            try:
                self._store.write(tokens)
            except OSError as exc:
                # The old tokens stay valid until the new refresh token is used.
                logger.warning(
                    "link to %s: new token not written to disk, the stored one stays valid: %s",
                    self._store.server,
                    exc.strerror,
                )
            return tokens

    def _request(self, held: Tokens) -> Tokens:
        try:
            return oauth.renew(self._store.server, held.refresh, now=self._now())
        except oauth.Refused as exc:
            if exc.error != "invalid_grant":
                raise RenewalFailed(f"The server refused to renew the token: {exc}.") from exc
            self._store.forget()
            raise self._pair_again() from exc
        except (web.Unreachable, oauth.UnexpectedAnswer) as exc:
            raise RenewalFailed(str(exc)) from exc

    def _pair_again(self) -> PairAgain:
        return PairAgain(self._store.server, own_command(self._store.server))


def source_of(config: Config, clock: Clock) -> TokenSource:
    """Return the token source that ``config`` names."""
    if config.token_file is not None:
        return TokenFile(config.token_file)
    store = TokenStore(config.home, config.server)
    return TokenKeeper(store, now=clock.wall, sleep=clock.sleep)


def folder_of(home: Path) -> Path:
    """Return the folder with all servers' tokens."""
    return home / "link" / "tokens"


def list_servers(home: Path) -> list[str]:
    """Return the servers that this machine is paired with."""
    found = []
    for path in sorted(folder_of(home).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            value = json.loads(read_plain(path))
            server = value.get("server") if isinstance(value, dict) else None
            if isinstance(server, str) and TokenStore(home, server).path == path:
                found.append(server)
    return found


def parse(text: str, server: str) -> Tokens | None:
    """Return the tokens in a file's ``text``, if it is complete and for ``server``."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match value:
        case {
            "server": str(of),
            "access": str(access),
            "refresh": str(refresh),
            "renew_at": int() | float() as renew_at,
            "expires_at": int() | float() as expires_at,
        } if of == server:
            return Tokens(access=access, refresh=refresh, renew_at=renew_at, expires_at=expires_at)
    return None


def _token_in(text: str) -> str:
    """Return the token in a file with a bare token, or in a session file (``session.json``)."""
    if not text.startswith("{"):
        return text
    session = web.parse_json(text.encode())
    return str(session.get("accessToken", "")) if isinstance(session, dict) else ""


def _lock(handle: int) -> None:
    end = time.monotonic() + LOCK_WITHIN
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end:
                raise RenewalFailed("Another deco_link hangs while renewing the token.") from None
            time.sleep(_STEP)  # no event reports that the lock is free
        else:
            return
