"""``deco_link logout [SERVER]``: end this machine's sign-in, on the server and here.

Exit codes: 0 done; 1 deleted here, but the server was not notified; 2 wrong use.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from links.daemon import oauth, web
from links.daemon.home import home_of
from links.daemon.terminal import Parser, say
from links.daemon.tokens import RenewalFailed, TokenStore, list_servers

DESCRIPTION = "Sign this machine out of a Mesh server. A deco_link that is running for it stops."


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = Parser(prog="deco_link logout", description=DESCRIPTION)
    parser.add_argument("server", nargs="?", help="may be omitted if there is only one")
    given = parser.parse_args(argv)
    home = home_of()
    known = list_servers(home)
    server = given.server.rstrip("/") if given.server else _only(known)
    if server not in known:
        say(_choice(known), error=True)
        return 2
    return sign_out(home, server)


def sign_out(home: Path, server: str) -> int:
    """Revoke the machine's tokens and forget them; return the exit code."""
    store = TokenStore(home, server)
    try:
        with store.locked():  # else a renewal in progress would store new ones
            tokens = store.read()
            store.forget()
    except RenewalFailed as exc:
        say(exc, error=True)
        return 1
    try:
        if tokens is not None:
            oauth.revoke(server, tokens.refresh)
    except (web.Unreachable, oauth.Refused, oauth.UnexpectedAnswer) as exc:
        say(f"The tokens were deleted here, but {server} was not notified: {exc}", error=True)
        return 1
    say(f"Signed out of {server}.")
    return 0


def _only(known: list[str]) -> str:
    return known[0] if len(known) == 1 else ""


def _choice(known: list[str]) -> str:
    if not known:
        return "This machine is not signed in to any server."
    return "Name the server; this machine is signed in to:\n" + "\n".join(known)
