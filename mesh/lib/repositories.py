"""Which addresses git may clone from; pure. Server, link and sandbox all ask here.

An agent's repository is written by whoever manages its organization, and cloned on each person's
machine, with that person's own sign-in. So three parties look at it:

- The *server* demands what it demands of providers' addresses: https or ssh, at a public host
  or at one that the operator named. It looks when an agent is saved, and again when a sandbox
  is started, for an older row or an import may hold anything.
- The *laptop* refuses in any case what no server has a good reason to ask for: another protocol
  (``file:``, ``git:``, ``http:``, ``ext:``), what git or ssh would take for an option, and hosts
  that are the machine itself, link-local, or a cloud's metadata. Private addresses it does not
  refuse: a company's own git server is often on the network that the laptop is in, and only
  the operator can tell, who has been asked above.
- A *container* is in the server's network. There the server looks at what the name leads to,
  before it starts one.

git is given the addresses that were looked at, so that a name which leads elsewhere a moment
later gains nothing; and it follows no redirect, for that would be another address.
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
    """Return what the address names; ``None`` for one that git must not be given."""
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
    """Say whether a name means something only on one machine or in one network."""
    bare = host.rstrip(".")
    return "." not in bare or bare == "localhost" or bare.endswith(_LOCAL)
