"""``deco_link logout [SERVER]``: end this machine's sign-in, there and here.

Exit codes: 0 done; 1 forgotten here, but the server could not be told; 2 wrong use.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from links.daemon import oauth, web
from links.daemon.home import home_of
from links.daemon.tokens import RenewalFailed, TokenStore, list_servers

DESCRIPTION = "Sign this machine out of a Mesh server. A deco_link that runs for it stops."


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="deco_link logout", description=DESCRIPTION)
    parser.add_argument("server", nargs="?", help="may be left out where there is only one")
    given = parser.parse_args(argv)
    home = home_of()
    known = list_servers(home)
    server = given.server.rstrip("/") if given.server else _only(known)
    if server not in known:
        print(_choice(known), file=sys.stderr)
        return 2
    return sign_out(home, server)


def sign_out(home: Path, server: str) -> int:
    """Revoke the machine's tokens and forget them; return the exit code."""
    store = TokenStore(home, server)
    try:
        with store.locked():  # else one that renews now would write them down again
            tokens = store.read()
            store.forget()
    except RenewalFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    try:
        if tokens is not None:
            oauth.revoke(server, tokens.refresh)
    except (web.Unreachable, oauth.Refused, oauth.Odd) as exc:
        print(f"Forgotten here, but {server} could not be told: {exc}", file=sys.stderr)
        return 1
    print(f"Signed out of {server}.")
    return 0


def _only(known: list[str]) -> str:
    return known[0] if len(known) == 1 else ""


def _choice(known: list[str]) -> str:
    if not known:
        return "This machine is signed in nowhere."
    return "Name the server; this machine is signed in at:\n" + "\n".join(known)
