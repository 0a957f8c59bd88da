"""A link without a tunnel: the server calls this machine at an address, and heartbeats tell
that it lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from links.daemon import api
from links.daemon.clock import Clock
from links.daemon.errors import Again, NotCalled, Superseded
from links.daemon.tokens import RenewalFailed, TokenSource
from links.wire.messages import MachineStatus, Registered
from links.wire.timing import BEAT_EVERY

SOON: Final = 3 * BEAT_EVERY  # a registration that did not last even so long …
OFTEN: Final = 3  # … so many times in a row: another deco_link registers this machine, too


class Heart:
    """Sends the heartbeats of the machine's registrations, one registration after the other."""

    def __init__(
        self, server: str, *, address: str, tokens: TokenSource, clock: Clock | None = None
    ) -> None:
        self._tokens = tokens
        self._server = server
        self._address = address
        self._clock = clock or Clock()
        self._registered: Registered | None = None
        self._since = 0.0
        self._cut_short = 0

    async def beat(
        self, registered: Registered, status: Callable[[], MachineStatus | None]
    ) -> None:
        """Send heartbeats, with ``status`` where it changed, for as long as they are accepted.

        Raises:
            NotCalled: the server does not call machines at such an address.
            api.NotRegistered: register again.
            Superseded: somebody else does, again and again.
            Again: the server can't be reached.
        """
        if registered.tunnel_url != self._address:
            raise NotCalled(f"The server does not call machines at {self._address}.")
        if registered is not self._registered:
            self._registered, self._since = registered, self._clock.steady()
        told = None
        while True:
            now = status()
            try:
                await api.heartbeat(
                    self._server,
                    registered,
                    token=await self._tokens.token(),
                    status=now if now != told else None,
                )
            except api.NotRegistered:
                self._count()
                raise
            except (api.RegistrationFailed, RenewalFailed) as exc:
                raise Again(str(exc)) from exc
            told = now
            await self._clock.sleep_or_wake(BEAT_EVERY)

    def _count(self) -> None:
        lasted = self._clock.steady() - self._since
        self._cut_short = self._cut_short + 1 if lasted < SOON else 0
        if self._cut_short >= OFTEN:
            raise Superseded
