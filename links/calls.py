"""Calling a laptop from anywhere in the server."""

from __future__ import annotations

from uuid import UUID

import httpx

from links import held
from links.errors import LinkOffline


async def client_for(link_id: UUID) -> httpx.AsyncClient:
    """Return the client whose requests go, signed, through the machine's tunnel.

    It is kept for as long as the connection lasts: do not close it. Paths are those of the
    laptop's control plane; answers stream. What breaks on the way is ``httpx.TransportError``.

    Raises:
        LinkOffline: this process holds no tunnel to the machine.
    """
    connection = held.find(link_id)
    if connection is None:
        raise LinkOffline
    return connection.client


def held_here() -> frozenset[UUID]:
    """Return the ids of the links whose sockets this process holds."""
    return held.ids()


async def check(link_id: UUID) -> float | None:
    """Return how many seconds a signed request to the machine takes now; ``None``: no answer.

    A machine that stays silent altogether is marked offline, and its socket is closed.
    """
    connection = held.find(link_id)
    if connection is None:
        return None
    seconds = await connection.check()
    if seconds is None and connection.closed_with is not None:
        await connection.released.wait()
    return seconds
