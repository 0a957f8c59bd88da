"""A link without a tunnel: the server calls this machine at an address, and heartbeats report
that it is alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from links.daemon import api
from links.daemon.clock import Clock
from links.daemon.errors import AddressNotHonoured, RetryLater, Superseded
from links.daemon.tokens import RenewalFailed, TokenSource
from links.wire.messages import MachineStatus, Registered
from links.wire.timing import BEAT_EVERY

SHORT_LIVED: Final = 3 * BEAT_EVERY  # a registration that was replaced sooner than this …
MAX_SHORT_LIVED: Final = 3  # … this often in a row: another deco_link registers this machine too


class Heartbeats:
    """Sends heartbeats for the machine's present registration."""

    def __init__(
        self, server: str, *, address: str, tokens: TokenSource, clock: Clock | None = None
    ) -> None:
        self._tokens = tokens
        self._server = server
        self._address = address
        self._clock = clock or Clock()
        self._registered: Registered | None = None
        self._since = 0.0
        self._short_lived = 0

    async def beat(
        self, registered: Registered, status: Callable[[], MachineStatus | None]
    ) -> None:
        """Send heartbeats, with ``status`` when it changed, as long as the server accepts them.

        Raises:
            AddressNotHonoured: the server does not allow machines at this address.
            api.NotRegistered: register again.
            Superseded: another deco_link keeps registering this machine.
            RetryLater: the server can't be reached.
        """
        if registered.tunnel_url != self._address:
            raise AddressNotHonoured(f"The server does not allow machines at {self._address}.")
        if registered is not self._registered:
            self._registered, self._since = registered, self._clock.steady()
        reported = None
        while True:
            now = status()
            try:
                await api.heartbeat(
                    self._server,
                    registered,
                    token=await self._tokens.token(),
                    status=now if now != reported else None,
                )
            except api.NotRegistered:
                self._count_short_lived()
                raise
            except (api.RegistrationFailed, RenewalFailed) as exc:
                raise RetryLater(str(exc)) from exc
            reported = now
            await self._clock.sleep_or_wake(BEAT_EVERY)

    def _count_short_lived(self) -> None:
        lasted = self._clock.steady() - self._since
        self._short_lived = self._short_lived + 1 if lasted < SHORT_LIVED else 0
        if self._short_lived >= MAX_SHORT_LIVED:
            raise Superseded
