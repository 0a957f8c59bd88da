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

An address is taken as git takes it, and passed on byte for byte. So it is read here as git reads
it (``connect.c``), where that is surprising too: ssh's is decoded before it is taken apart, and
in ``user:password@host:path`` the host is ``user``. What git would read in another way than people
do is refused, like all that is dangerous, with the rule that it breaks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

LONGEST: Final = 2000  # characters
_SSH: Final = ("ssh", "git+ssh", "ssh+git")
_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_IPV6: Final = r"\[[0-9A-Fa-f:.]+\]"
_USER: Final = r"[^\s:/\[\]-][^\s:/\[\]]*"
_SCHEME: Final = re.compile(r"(?P<scheme>[A-Za-z0-9][A-Za-z0-9+.-]*)://(?P<rest>.*)")
_HELPER: Final = re.compile(r"[A-Za-z0-9+.-]*::")
_PLACE: Final = re.compile(rf"(?P<host>{_NAME}|{_IPV6})(?::(?P<port>[0-9]{{0,5}}))?")
_SHORT: Final = re.compile(rf"(?:(?P<user>{_USER})@)?(?P<host>{_NAME}|{_IPV6}):(?P<path>.*)")
# git's old form for a port: [ada@host:2222]:path
_BRACKETS: Final = re.compile(
    rf"\[(?:(?P<user>{_USER})@)?(?P<host>{_NAME})(?::(?P<port>[0-9]{{1,5}}))?\]:(?P<path>.*)"
)
_DIVIDES: Final = re.compile(r"%(2f|3a|5b|5d)", re.IGNORECASE)
_PASSWORD: Final = re.compile(r"[^/]*@[^/]*:")
_LOCAL: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class Unclonable(Exception):
    """git must not get the address. The sentence is the rule, and never repeats the address."""


@dataclass(frozen=True, slots=True)
class CloneUrl:
    """An address that git may be given. ``scheme`` is https or ssh; ``host`` has no brackets.

    ``path`` is what git asks the server for. ``user`` may contain a password, with https only.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    path: str = ""


def read_clone_url(text: str) -> CloneUrl | None:
    """Parse an address; return ``None`` for one that git must not get."""
    try:
        return parse_clone_url(text)
    except Unclonable:
        return None


def parse_clone_url(text: str) -> CloneUrl:
    """Parse an address as git does.

    Raises:
        Unclonable: git must not get it.
    """
    if not text.strip():
        raise Unclonable("The address is empty.")
    if len(text) > LONGEST:
        raise Unclonable("The address is too long.")
    _check_text(text)
    if text.startswith("-"):
        raise Unclonable("The address begins with a dash, so git would take it for an option.")
    if _HELPER.match(text):
        raise Unclonable("The address has the form “name::…”, with which git starts a program.")
    if found := _SCHEME.fullmatch(text):
        return _of_url(found["scheme"], found["rest"])
    return _of_short(text)


def _of_url(scheme: str, rest: str) -> CloneUrl:
    if scheme == "https":
        return _of_https(rest)
    if scheme in _SSH:
        return _of_ssh(rest)
    if scheme == "http":
        raise Unclonable("Over http, others on the network could change what is cloned. Use https.")
    if scheme.lower() in ("https", *_SSH):
        raise Unclonable(f"Git knows “{scheme.lower()}” only in small letters.")
    raise Unclonable("A repository can be cloned over https or ssh only.")


def _of_https(rest: str) -> CloneUrl:
    if "?" in rest or "#" in rest:
        raise Unclonable("The address has a “?” or a “#”: leave out what begins there.")
    if " " in rest:
        raise Unclonable("Git takes no space in an https address: write it as %20.")
    _check_text(unquote(rest))
    location, _, path = rest.partition("/")
    if {".", ".."} & set(path.split("/")):
        raise Unclonable("The path has “.” or “..” as a folder, which leads to another address.")
    user, _, place = location.rpartition("@")
    if user and (user.startswith("-") or not user.isascii() or {"@", "\\"} & set(user)):
        raise Unclonable("The user name in the address can't be one.")
    host, port = _place(place)
    return _checked(CloneUrl("https", host, port or 443, user, path))


def _of_ssh(rest: str) -> CloneUrl:
    decoded = unquote(rest)
    _check_text(decoded)
    if _DIVIDES.search(rest.partition("/")[0]):
        raise Unclonable("The host contains an encoded “/”, “:” or bracket, so it means another.")
    location, _, path = decoded.partition("/")
    user, at, place = location.rpartition("@")
    if ":" in user:
        raise Unclonable("The address contains a password, which ssh does not take from there.")
    if at and not re.fullmatch(_USER, user):
        raise Unclonable("The user name in the address can't be one.")
    host, port = _place(place)
    return _checked(CloneUrl("ssh", host, port or 22, user, path))


def _of_short(text: str) -> CloneUrl:
    """Parse the form without a scheme: ``[user@]host:path``."""
    before, colon, _ = text.partition(":")
    if not colon or ("/" in before and not text.startswith("[")):
        raise Unclonable("This is a folder, or no address. Give one with https:// or git@host:…")
    found = _BRACKETS.fullmatch(text) or _SHORT.fullmatch(text)
    if found is None:
        raise Unclonable("The host or the user name in the address can't be one.")
    given = found.groupdict()
    host, path = given["host"], given["path"]
    if len(host) == 1 and not given["user"]:
        raise Unclonable("This is a folder on a drive. Give an address with https:// or git@host:…")
    if not given["user"] and _PASSWORD.match(path):
        raise Unclonable("The address contains a password, so git would take it for a host.")
    if host.lower() in ("http", "https", "file", "git", *_SSH):
        raise Unclonable("After the protocol, the address needs “://”.")
    if path.startswith((":", " ")):
        raise Unclonable("The path begins with a colon or a space.")
    port = _port(given.get("port") or "")
    return _checked(
        CloneUrl("ssh", host.strip("[]").lower(), port or 22, given["user"] or "", path)
    )


def _place(text: str) -> tuple[str, int]:
    """Return the host in small letters, and the port; 0 if none is given."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise Unclonable("The address has no host, or one that can't be one.")
    return found["host"].strip("[]").lower(), _port(found["port"] or "")


def _port(text: str) -> int:
    port = int(text or 0)
    if text and not 0 < port < 65536:
        raise Unclonable("The port in the address can't be one.")
    return port


def _checked(url: CloneUrl) -> CloneUrl:
    if not url.path.strip("/"):
        raise Unclonable("The address names a server, but no repository on it.")
    if url.path.startswith("-"):
        raise Unclonable("The path begins with a dash, so it could be taken for an option.")
    # There git looks for the host, wherever it is.
    if url.scheme == "ssh" and "@[" in url.path:
        raise Unclonable("The path contains “@[”, after which git would look for the host.")
    return url


def _check_text(text: str) -> None:
    if not text.isprintable():
        raise Unclonable("The address contains a line break or another control character.")


def is_local_name(host: str) -> bool:
    """Return whether a name has a meaning only on one machine or in one network."""
    bare = host.rstrip(".")
    return "." not in bare or bare == "localhost" or bare.endswith(_LOCAL)
