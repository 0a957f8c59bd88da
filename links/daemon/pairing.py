"""Pairing: the laptop shows a code, its person approves it in a browser (RFC 8628)."""

from __future__ import annotations

import asyncio
import io
import logging
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

from links.daemon import oauth, terminal, web
from links.daemon.config import Config, machine_id
from links.daemon.errors import CodeExpired, PairingDenied, PairingFailed
from links.daemon.oauth import Codes, Tokens
from links.daemon.tokens import RenewalFailed, TokenStore
from mesh.lib.backoff import Backoff
from mesh.version import VERSION

logger = logging.getLogger(__name__)

SLOWER: Final = 5.0  # seconds that RFC 8628 adds for each slow_down

Say = Callable[[str], None]
Sleep = Callable[[float], Awaitable[None]]


async def ensure_paired(config: Config) -> None:
    """Pair this machine with the server unless it is paired or has a token file. Safe to repeat.

    Raises:
        Stop: pairing failed; the text says why.
    """
    if config.token_file is not None:
        return
    store = TokenStore(config.home, config.server)
    try:
        if store.read() is None:
            store.write(await pair(config, say=_print))
            _print("Approved: this machine is linked.\n")
    except RenewalFailed as exc:
        raise PairingFailed(str(exc)) from exc
    except OSError as exc:
        raise PairingFailed(f"{store.path} can't be written: {exc.strerror}.") from exc


async def pair(config: Config, *, say: Say, sleep: Sleep = asyncio.sleep) -> Tokens:
    """Request a code, show it, and wait for the person's approval; return the tokens.

    Raises:
        PairingFailed, PairingDenied, CodeExpired: no tokens were issued.
    """
    facts = {
        "hostname": config.name,
        "platform": f"{platform.system()} {platform.machine()}".strip(),
        "machine_id": machine_id(config.home),
        "version": VERSION,
    }
    try:
        codes = await asyncio.to_thread(oauth.ask_code, config.server, facts)
    except (web.Unreachable, oauth.Refused, oauth.UnexpectedAnswer) as exc:
        raise PairingFailed(str(exc)) from exc
    say(instructions(config.server, codes, qr=can_show_qr()))
    return await _wait_for_answer(config.server, codes, sleep)


async def _wait_for_answer(server: str, codes: Codes, sleep: Sleep) -> Tokens:
    interval, backoff, waited = codes.interval, Backoff(first=codes.interval), 0.0
    wait = interval
    while waited < codes.expires_in:
        await sleep(wait)
        waited += wait
        wait = interval
        try:
            return await asyncio.to_thread(
                oauth.collect, server, codes.device_code, now=time.time()
            )
        except oauth.Refused as exc:
            if exc.error == "slow_down":
                interval += SLOWER
                wait = interval
            elif exc.error != "authorization_pending":
                raise _END.get(exc.error, PairingFailed)() from exc
            backoff = Backoff(first=interval)
        except web.Unreachable as exc:
            wait = max(interval, backoff.next())
            logger.info("pairing with %s: asking again in %.0f s: %s", server, wait, exc)
        except oauth.UnexpectedAnswer as exc:
            raise PairingFailed(str(exc)) from exc
    raise CodeExpired


_END: Final[dict[str, type[PairingDenied] | type[CodeExpired]]] = {
    "access_denied": PairingDenied,
    "expired_token": CodeExpired,
    "invalid_grant": CodeExpired,  # so old that the server has deleted it
}


def instructions(server: str, codes: Codes, *, qr: bool) -> str:
    """Return the instructions for the person: the address, the code, and both as a QR code."""
    minutes = max(1, round(codes.expires_in / 60))
    lines = [
        f"To link this machine to {server}, open",
        "",
        f"    {codes.uri}",
        "",
        f"and enter the code   {codes.user_code}   (valid for {minutes} minutes)",
        "",
    ]
    if qr:
        lines += [_qr(codes.uri_complete), ""]
    return "\n".join([*lines, "Waiting for you …"])


def can_show_qr() -> bool:
    """Return whether stdout is a terminal that can display a QR code."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return sys.stdout.isatty() and encoding.startswith("utf")


def _qr(text: str) -> str:
    import segno  # needed for pairing only

    picture = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out=picture, border=2, compact=True)
    return picture.getvalue().rstrip("\n")


def _print(text: str) -> None:
    terminal.say(text)
