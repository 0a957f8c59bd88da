"""Calling a laptop from anywhere in the server."""

from __future__ import annotations

from uuid import UUID

import httpx
from asgiref.sync import async_to_sync

from links import held_machines, selectors, services
from links.errors import LinkOffline
from links.internal import app
from links.internal.caller import owners
from mesh import database_pool


async def client_for(link_id: UUID) -> httpx.AsyncClient:
    """Return the client that sends signed requests through the machine's tunnel.

    If another process holds the tunnel, they go through that process. The client is cached: do
    not close it. Paths are those of the laptop's control plane; answers stream. A failure on
    the way raises ``httpx.TransportError``.

    Raises:
        LinkOffline: no process is known to hold a tunnel to the machine.
    """
    connection = held_machines.find(link_id)
    if connection is not None:
        return connection.client
    return owners().client(link_id, await owner_of(link_id))


def held_here() -> frozenset[UUID]:
    """Return the ids of the links whose sockets this process holds."""
    return held_machines.ids()


async def check(link_id: UUID, *, owner: str) -> float | None:
    """Return the round-trip time of a signed request, in seconds; ``None`` if none answers.

    ``owner`` is the address of the process that holds the machine, if not this one. A machine
    that sends nothing at all is marked offline, and its socket is closed.
    """
    connection = held_machines.find(link_id)
    if connection is not None:
        return await app.check(connection)
    if not owner or owner == held_machines.address():
        return None
    try:
        return await owners().check(link_id, owner)
    except LinkOffline:
        return None


def probe(link_id: UUID) -> float | None:
    """Run ``check`` from synchronous code, and update the machine's row with the result."""
    owner = selectors.find_owner_address(link_id=link_id)
    seconds = async_to_sync(check)(link_id, owner=owner)
    services.expire()
    return seconds


async def owner_of(link_id: UUID) -> str:
    """Return the address of the process that holds the machine's tunnel.

    Raises:
        LinkOffline: no other process is known to hold one.
    """
    address: str = await database_pool.reads.run(selectors.find_owner_address, link_id=link_id)
    # Our own address: the row still names a connection of ours that has ended.
    if not address or address == held_machines.address():
        raise LinkOffline
    return address
