"""Which addresses the server may be sent to by what people and models write; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# IPv6 addresses allocated for global use (IANA IPv6 Address Space). All others are private,
# reserved, or another form of an IPv4 address: ::/96, ::ffff:0:0:0/96 (SIIT, RFC 2765),
# 64:ff9b:1::/48 (RFC 8215), fec0::/10 (site-local, RFC 3879).
_GLOBAL: Final = ip_network("2000::/3")
# NAT64's well-known prefix (RFC 6052): judged by the IPv4 address that it leads to.
_NAT64: Final = ip_network("64:ff9b::/96")
# Never public, whatever `is_global` returns, which differs between Python versions: IANA's
# special-purpose registries (RFC 6890), including tunnels.
_SPECIAL: Final = _networks(
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    "2001::/23",  # IETF protocols, such as Teredo
    "2001:db8::/32",
    "2002::/16",  # 6to4
    "3fff::/20",
)
# Where clouds keep metadata, keys and their own agents, outside of the link-local ranges:
_METADATA: Final = _networks(
    "100.100.100.200/32",  # Alibaba Cloud
    "168.63.129.16/32",  # Azure's WireServer
    "192.0.0.192/32",  # Oracle Cloud Classic
    "fd00:ec2::/32",  # AWS: IMDS at fd00:ec2::254, EKS Pod Identity at fd00:ec2::23
    "fd00:42::42/128",  # Scaleway
    "fd20:ce::254/128",  # Google Cloud
)
# Only an entry with exactly that address allows one of these: no name, and no range.
_EXACTLY_ONLY: Final = _METADATA + _networks(
    *("169.254.0.0/16", "fe80::/10", "fec0::/10", "0.0.0.0/8", "::/128"),
    *("224.0.0.0/4", "240.0.0.0/4", "ff00::/8"),
)
_LOOPBACK: Final = _networks("127.0.0.0/8", "::1/128")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)  # the upper half of such an interface id (RFC 5214)
_ENTRY = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s]+?)(?::(?P<port>\d{1,5}))?")
_NETWORK = re.compile(r"[0-9a-fA-F:.]+/\d{1,3}")


def is_public(address: Address) -> bool:
    """Return whether ``address`` is the same host for everybody on the internet.

    An IPv6 address that a system or a translator maps to an IPv4 address is judged as that
    address, or refused.
    """
    meant = _meant(address)
    if _is_in(meant, _SPECIAL) or _is_in(meant, _METADATA):
        return False
    if isinstance(meant, IPv6Address) and (
        meant not in _GLOBAL or (int(meant) >> 32) & 0xFFFFFFFF in _ISATAP
    ):
        return False
    return meant.is_global and not meant.is_multicast


def is_off_limits(address: Address) -> bool:
    """Return whether no name that others wrote may lead to ``address``: this machine's own,
    link-local, a cloud's metadata service."""
    meant = _meant(address)
    return _is_in(meant, _EXACTLY_ONLY) or _is_in(meant, _LOOPBACK)


def _meant(address: Address) -> Address:
    """Return the IPv4 address that a mapped or translated one leads to; else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


class BadEntry(ValueError):
    """An entry of a list of hosts can't be read; the text says which."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """``name`` (perhaps ``*.suffix``) or ``network``; any port without ``port``.

    Neither a name nor a range allows a link-local address, a cloud's metadata service, or anything
    else in ``_EXACTLY_ONLY``. ``*.suffix`` does not allow this machine either.
    """

    name: str = ""
    network: Network | None = None
    port: int | None = None

    def covers(self, host: str, address: Address, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None and self.network.num_addresses == 1:
            return address in self.network
        # A name's DNS record and the hosts of a network are not under the operator's control.
        if _is_in(address, _EXACTLY_ONLY):
            return False
        if self.network is not None:
            return address in self.network
        if self.name.startswith("*.") and _is_in(address, _LOOPBACK):
            return False
        return self.covers_name(host, port)

    def covers_name(self, host: str, port: int) -> bool:
        if self.network is not None or self.port not in (None, port):
            return False
        if self.name.startswith("*."):
            return host.endswith(self.name[1:])
        return host == self.name


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which hosts may be reached although their addresses are not public."""

    entries: tuple[_Entry, ...] = ()

    def names(self, host: str, port: int) -> bool:
        """Return whether an entry allows the host by its name, whatever its address is."""
        meant = host.lower().rstrip(".")
        return any(entry.covers_name(meant, port) for entry in self.entries)

    def covers(self, host: str, address: Address, port: int) -> bool:
        """Return whether an entry allows the host, or the network of its address."""
        meant = host.lower().rstrip(".")
        inner = _meant(address)
        return any(entry.covers(meant, inner, port) for entry in self.entries)


def parse_allowed(text: str) -> Allowed:
    """Parse a comma-separated list of names, ``*.names``, addresses and networks.

    Raises:
        BadEntry: an entry is none of these.
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
        raise BadEntry(f"{text!r} has an invalid port.")
    if re.fullmatch(r"[0-9.]+", bare) or ":" in bare:
        return _Entry(network=_network(bare, text), port=number)
    if not re.fullmatch(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", bare):
        raise BadEntry(f"{text!r} is not a host, address or network.")
    return _Entry(name=bare, port=number)


def _network(text: str, entry: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as exc:
        raise BadEntry(f"{entry!r} is not an address or network.") from exc


def first_refused(
    host: str, addresses: Iterable[Address], port: int, allowed: Allowed
) -> Address | None:
    """Return the first address that may not be reached; ``None`` if all may be.

    All, not any: otherwise a name with one public and one private address would be a way in.
    """
    for address in addresses:
        if not is_public(address) and not allowed.covers(host, address, port):
            return address
    return None


def parse_address(text: str) -> Address | None:
    """Return the IP address in ``text``, without a zone; ``None`` for a name.

    Digits and dots of other scripts are normalized, as resolvers do.
    """
    plain = unicodedata.normalize("NFKC", text).replace("\u3002", ".")
    try:
        return ip_address(plain.strip("[]").partition("%")[0].rstrip("."))
    except ValueError:
        return None


def is_odd_number(host: str) -> bool:
    """Return whether ``host`` is a number that resolvers read as an IPv4 address, in an unusual
    form: ``127.1``, ``0x7f000001``, ``0177.0.0.1``."""
    plain = unicodedata.normalize("NFKC", host).replace("\u3002", ".").rstrip(".")
    last = plain.rpartition(".")[2]
    is_number = re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", last) is not None
    return is_number and parse_address(plain) is None
