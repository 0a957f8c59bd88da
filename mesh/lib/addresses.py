"""Which addresses a server may be sent to by what people and models write; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Each holds an IPv4 address in its last 32 bits, which a translator would go to.
_TRANSLATED: Final = (ip_network("64:ff9b::/96"), ip_network("::/96"))
_ENTRY = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s]+?)(?::(?P<port>\d{1,5}))?")
_NETWORK = re.compile(r"[0-9a-fA-F:.]+/\d{1,3}")


def is_public(address: Address) -> bool:
    """Say whether anybody on the internet reaches the same host under ``address``.

    An IPv4 address inside an IPv6 one is looked at too: the system may go to either.
    """
    return all(each.is_global and not each.is_multicast for each in _meanings(address))


def _meanings(address: Address) -> list[Address]:
    """Return the address and every IPv4 address that is packed into it."""
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    inner: list[Address] = [address]
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner += address.teredo
    if any(address in network for network in _TRANSLATED):
        # NAT64's own prefix is for everybody's use: what counts is where it leads.
        inner = [IPv4Address(int(address) & 0xFFFFFFFF)]
    return inner


class BadEntry(ValueError):
    """An entry of a list of hosts can't be read; the text says which."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """``name`` (perhaps ``*.suffix``) or ``network``; any port without ``port``."""

    name: str = ""
    network: Network | None = None
    port: int | None = None

    def covers(self, host: str, address: Address, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            # A whole range never opens the neighbourhood where clouds keep their metadata.
            is_exact = self.network.num_addresses == 1
            return address in self.network and (is_exact or not address.is_link_local)
        if self.name.startswith("*."):
            return host.endswith(self.name[1:])
        return host == self.name


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which hosts may be reached although their addresses are not public."""

    entries: tuple[_Entry, ...] = ()

    def covers(self, host: str, address: Address, port: int) -> bool:
        """Say whether an entry names the host, or the network of its address."""
        meant = host.lower().rstrip(".")
        inner = _meanings(address)[0]
        return any(entry.covers(meant, inner, port) for entry in self.entries)


def parse_allowed(text: str) -> Allowed:
    """Return the list that ``text`` writes with commas: names, ``*.names``, addresses, networks.

    Raises:
        BadEntry: one of them is none of these.
    """
    parts = [part.strip() for part in text.split(",")]
    return Allowed(tuple(_parse(part) for part in parts if part))


def _parse(text: str) -> _Entry:
    if _NETWORK.fullmatch(text):
        return _Entry(network=_network(text, text))
    found = _ENTRY.fullmatch(text)
    # An IPv6 address without its brackets has colons but no port.
    host, port = (found["host"], found["port"]) if found else (text, None)
    bare = host.strip("[]").lower().rstrip(".")
    number = int(port) if port else None
    if number is not None and not 0 < number < 65536:
        raise BadEntry(f"{text!r} has no such port.")
    if re.fullmatch(r"[0-9.]+", bare) or ":" in bare:
        return _Entry(network=_network(bare, text), port=number)
    if not re.fullmatch(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", bare):
        raise BadEntry(f"{text!r} is no host, address or network.")
    return _Entry(name=bare, port=number)


def _network(text: str, entry: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as exc:
        raise BadEntry(f"{entry!r} is no address or network.") from exc


def first_refused(
    host: str, addresses: Iterable[Address], port: int, allowed: Allowed
) -> Address | None:
    """Return the first address that may not be reached; ``None`` when all may be.

    All, not any: a name with one public and one private address would be a way in.
    """
    for address in addresses:
        if not is_public(address) and not allowed.covers(host, address, port):
            return address
    return None


def parse_address(text: str) -> Address | None:
    """Return the IP address that ``text`` is, without a zone; ``None`` for a name."""
    try:
        return ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
