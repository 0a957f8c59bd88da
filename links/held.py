"""The tunnels whose sockets this process holds, and where others reach it for them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from links.connection import Connection

_connections: dict[UUID, Connection] = {}
_address = ""


def find(link_id: UUID) -> Connection | None:
    return _connections.get(link_id)


def ids() -> frozenset[UUID]:
    return frozenset(_connections)


def all_of_them() -> list[Connection]:
    return list(_connections.values())


def address() -> str:
    """Return where this process takes other processes' requests; empty when it does not."""
    return _address


def take_requests_at(address: str) -> None:
    global _address
    _address = address


def put(link_id: UUID, connection: Connection) -> Connection | None:
    """Make ``connection`` the one of its machine; return the one it replaces."""
    older = _connections.get(link_id)
    _connections[link_id] = connection
    return older


def remove(link_id: UUID, connection: Connection) -> None:
    """Forget ``connection``, unless a newer one took its place."""
    if _connections.get(link_id) is connection:
        del _connections[link_id]
