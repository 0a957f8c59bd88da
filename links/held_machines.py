"""The machines that this process holds, through a tunnel's socket or by calling their address,
and the address at which other processes reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import httpx

from links.core.ownership import Hold
from links.core.presence import Fact
from links.services.ownership import Claimed
from links.sockets import FarSocket


class Held(Protocol):
    """A machine that this process holds: a tunnel's ``Connection``, or a ``DirectConnection``."""

    id: str
    claimed: Claimed | None
    closed_with: tuple[int, str] | None
    ended_by: Fact
    released: asyncio.Event

    @property
    def client(self) -> httpx.AsyncClient: ...

    @property
    def hold(self) -> Hold | None: ...

    @property
    def is_superseded(self) -> bool: ...

    async def websocket(
        self, target: str, headers: Sequence[tuple[str, str]], protocols: Sequence[str]
    ) -> FarSocket: ...

    async def check(self) -> float | None: ...

    def close(self, code: int, reason: str, fact: Fact = Fact.BREAK) -> None: ...


_connections: dict[UUID, Held] = {}
_address = ""


def find(link_id: UUID) -> Held | None:
    return _connections.get(link_id)


def ids() -> frozenset[UUID]:
    return frozenset(_connections)


def list_connections() -> list[Held]:
    return list(_connections.values())


def address() -> str:
    """Return where this process accepts other processes' requests; empty if it does not."""
    return _address


def accept_requests_at(address: str) -> None:
    global _address
    _address = address


def put(link_id: UUID, connection: Held) -> Held | None:
    """Make ``connection`` the one of its machine; return the one it replaces."""
    older = _connections.get(link_id)
    _connections[link_id] = connection
    return older


def remove(link_id: UUID, connection: Held) -> None:
    """Forget ``connection``, unless a newer one has replaced it."""
    if _connections.get(link_id) is connection:
        del _connections[link_id]
