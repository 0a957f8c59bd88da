"""Which addresses git may clone from; pure. Server, link and sandbox all use this module.

An owner or admin of the organization sets an agent's repository, and each person's machine clones
it with that person's own sign-in. So three parties check it:

- The *server* requires the same as of providers' addresses: https or ssh, at a public host or at
  one that the operator allowed. It checks when an agent is saved, and again when a sandbox is
  started, because an older row or an import may contain anything.
- The *laptop* always refuses what no server has a good reason to ask for: another protocol
  (``file:``, ``git:``, ``http:``, ``ext:``), text that git or ssh would take for an option, and
  hosts that are the machine itself, link-local, or a cloud's metadata service. It does not refuse
  private addresses: a company's git server is often in the laptop's network, and only the
  operator can decide that, on the server.
- A *container* is in the server's network. Before it starts one, the server checks the addresses
  that the name resolves to.

git gets the checked addresses, so that a name which leads elsewhere a moment later gains nothing;
and it follows no redirect, because that would be another address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 2000  # characters
_HOST: Final = r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])"
_USER: Final = r"(?P<user>[A-Za-z0-9_][^@/:\s]*(?::[^@/\s]*)?)@"
_URL: Final = re.compile(
    rf"(?P<scheme>https|ssh)://(?:{_USER})?{_HOST}(?::(?P<port>[0-9]{{1,5}}))?/(?P<path>[^\s-]\S*)"
)
_SCP: Final = re.compile(rf"{_USER}{_HOST}:(?P<path>[^\s:-]\S*)")
_LOCAL: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


@dataclass(frozen=True, slots=True)
class CloneUrl:
    """An address that git may be given. ``scheme`` is https or ssh; ``host`` has no brackets."""

    scheme: str
    host: str
    port: int


def read_clone_url(text: str) -> CloneUrl | None:
    """Parse an address; return ``None`` for one that git must not get."""
    if len(text) > LONGEST or not text.isprintable():
        return None
    found = _URL.fullmatch(text) or _SCP.fullmatch(text)
    if found is None:
        return None
    given = found.groupdict()
    scheme = given.get("scheme") or "ssh"
    port = int(given.get("port") or (443 if scheme == "https" else 22))
    if not 0 < port < 65536:
        return None
    return CloneUrl(scheme, given["host"].strip("[]").lower(), port)


def is_local_name(host: str) -> bool:
    """Return whether a name has a meaning only on one machine or in one network."""
    bare = host.rstrip(".")
    return "." not in bare or bare == "localhost" or bare.endswith(_LOCAL)
