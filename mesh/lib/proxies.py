"""Who the client of a request is when it came through proxies; pure.

Each proxy appends the address that it was called from to ``X-Forwarded-For``. What the
client itself sent stands to the left of that, so the header is read from the right and no
further than the trusted proxies reach.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from mesh.lib.addresses import Address, Network

MOST: Final = 16  # proxies one behind the other
LIMIT_PREFIX: Final = 64  # bits of an IPv6 address: the rest is the client's own choice
UNIX: Final = "unix"

_PORT = re.compile(r":\d{1,5}")


class BadProxy(ValueError):
    """MESH_PROXIES can't be read; the text says which entry."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The trusted proxies, by their networks or by their number; by default none.

    ``takes_unix``: whoever calls through a unix socket is trusted.
    """

    networks: tuple[Network, ...] = ()
    count: int = 0
    takes_unix: bool = False

    def __bool__(self) -> bool:
        return bool(self.networks or self.count or self.takes_unix)

    def trusts(self, peer: str) -> bool:
        """Say whether headers about the client are believed from ``peer`` ("": a unix socket)."""
        if self.count:
            return True
        address = parse_hop(peer)
        return self._names(address) if address is not None else not peer and self.takes_unix

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return the client's address; ``forwarded`` holds the lines of X-Forwarded-For.

        From the right, that is the first address that is no trusted proxy's, or the
        ``count``-th. Where an entry is no address, the proxy that wrote it counts as the
        client: better one limit for all its clients than a client that names itself.
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
    """Return what ``text`` writes: a number, or addresses, networks and ``unix`` with commas.

    Raises:
        BadProxy: it is none of these, or trusts the whole internet.
    """
    entries = [part.strip() for part in text.split(",") if part.strip()]
    if len(entries) == 1 and entries[0].isascii() and entries[0].isdecimal():
        if not 0 <= (count := int(entries[0])) <= MOST:
            raise BadProxy(f"{entries[0]!r} is too many; {MOST} proxies at most.")
        return Proxies(count=count)
    named = [entry for entry in entries if entry != UNIX]
    networks = tuple(_network(entry) for entry in named)
    return Proxies(networks=networks, takes_unix=len(named) < len(entries))


def limit_key(address: str) -> str:
    """Return what a limit counts ``address`` as: itself, or an IPv6 client's /64 network."""
    found = parse_hop(address)
    if not isinstance(found, IPv6Address):
        return str(found) if found is not None else address[:45]
    return str(ip_network((found, LIMIT_PREFIX), strict=False))


def parse_hop(text: str) -> Address | None:
    """Return the address in an entry of X-Forwarded-For; ``None`` if it holds none.

    A port, brackets and a zone are taken off; IPv4 written as IPv6 is IPv4 again.
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
    # Not split at once: a client may send tens of thousands of entries.
    while line:
        line, _, entry = line.rpartition(",")
        yield entry


def _network(entry: str) -> Network:
    try:
        network = ip_network(entry)
    except ValueError as exc:
        hint = "a number, addresses and networks (with their host bits zero), or unix"
        raise BadProxy(f"{entry!r} is no proxy; it takes {hint}.") from exc
    if network.prefixlen == 0:
        raise BadProxy(f"{entry!r} is everybody: any client could choose its own address.")
    return network
