"""The client's address of a request that came through proxies; pure.

Each proxy appends the address that called it to ``X-Forwarded-For``. Entries that the client
itself sent come before those, so the header is read from the right, and only as far as the
trusted proxies go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from mesh.lib.addresses import Address, Network

MOST: Final = 16  # proxies in a row
LIMIT_PREFIX: Final = 64  # bits of an IPv6 address: the rest is the client's own choice
UNIX: Final = "unix"

_PORT = re.compile(r":\d{1,5}")


class BadProxy(ValueError):
    """MESH_PROXIES can't be read; the text says which entry."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The trusted proxies, by their networks or by their number; by default none.

    ``takes_unix``: callers through a unix socket are trusted.
    """

    networks: tuple[Network, ...] = ()
    count: int = 0
    takes_unix: bool = False

    def __bool__(self) -> bool:
        return bool(self.networks or self.count or self.takes_unix)

    def trusts(self, peer: str) -> bool:
        """Return whether ``peer``'s headers about the client are trusted ("": a unix socket)."""
        if self.count:
            return True
        address = parse_hop(peer)
        return self._names(address) if address is not None else not peer and self.takes_unix

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return the client's address; ``forwarded`` holds the lines of X-Forwarded-For.

        From the right, it is the first address that is not a trusted proxy's, or the ``count``-th.
        If an entry is not an address, the proxy that wrote it counts as the client: one limit for
        all its clients is better than a client that chooses its own address.
        """
        if not self.trusts(peer):
            return peer
        client = peer
        for address in _hops(forwarded, limit=self.count or MOST):
            if address is None:
                break
            client = str(address)
            if not self.count and not self._names(address):
                break
        return client

    def _names(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def parse_proxies(text: str) -> Proxies:
    """Parse ``text``: a number, or a comma-separated list of addresses, networks and ``unix``.

    Raises:
        BadProxy: it is none of these, or trusts the whole internet.
    """
    entries = [part.strip() for part in text.split(",") if part.strip()]
    if len(entries) == 1 and entries[0].isascii() and entries[0].isdecimal():
        if not 0 <= (count := int(entries[0])) <= MOST:
            raise BadProxy(f"{entries[0]!r} is too many; at most {MOST} proxies are allowed.")
        return Proxies(count=count)
    named = [entry for entry in entries if entry != UNIX]
    networks = tuple(_network(entry) for entry in named)
    return Proxies(networks=networks, takes_unix=len(named) < len(entries))


def limit_key(address: str) -> str:
    """Return the key under which limits count ``address``: itself, or an IPv6 /64 network."""
    found = parse_hop(address)
    if not isinstance(found, IPv6Address):
        return str(found) if found is not None else address[:45]
    return str(ip_network((found, LIMIT_PREFIX), strict=False))


def parse_hop(text: str) -> Address | None:
    """Return the address in an entry of X-Forwarded-For; ``None`` if it has none.

    Without port, brackets and zone; an IPv4-mapped IPv6 address is returned as IPv4.
    """
    bare = text.strip()
    if bare.startswith("["):
        bare, bracket, port = bare[1:].partition("]")
        if not bracket or ":" not in bare or (port and not _PORT.fullmatch(port)):
            return None
    elif bare.count(":") == 1:
        bare, _, port = bare.partition(":")
        if not _PORT.fullmatch(f":{port}"):
            return None
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _hops(lines: Sequence[str], *, limit: int) -> Iterator[Address | None]:
    """Yield up to ``limit`` entries of the header's lines, from the right."""
    entries = (entry for line in reversed(lines) for entry in _from_the_right(line))
    for entry, _ in zip(entries, range(limit), strict=False):
        yield parse_hop(entry)


def _from_the_right(line: str) -> Iterator[str]:
    # Split lazily: a client may send tens of thousands of entries.
    while line:
        line, _, entry = line.rpartition(",")
        yield entry


def _network(entry: str) -> Network:
    try:
        network = ip_network(entry)
    except ValueError as exc:
        hint = "a number, addresses and networks (with their host bits zero), or unix"
        raise BadProxy(f"{entry!r} is not a proxy; use {hint}.") from exc
    if network.prefixlen == 0:
        raise BadProxy(f"{entry!r} trusts everybody: any client could choose its own address.")
    return network
