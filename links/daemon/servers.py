"""Which server a command is for; the command line may omit it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from links.daemon import state
from links.daemon.tokens import list_servers
from mesh import env


def checked_server(address: str) -> str:
    """Return the address in the program's form: without a trailing slash.

    Raises:
        ValueError: it is not an address; the text says so.
    """
    server = address.rstrip("/")
    try:
        parts = urlsplit(server)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number
        sound = False
    if not sound or parts.username or parts.query or parts.fragment:
        raise ValueError(f"{address!r} is not an address; use one like https://mesh.example.")
    return server


def only_server(home: Path) -> str:
    """Return ``MESH_CLUSTER_URL``, or the one server that this machine is linked to.

    Raises:
        ValueError: there is none, or more than one; the text lists them.
    """
    if configured := env.read().cluster_url:
        return configured
    known = {*list_servers(home), *(link.server for link in state.list_running(home))}
    if len(known) == 1:
        return known.pop()
    raise ValueError(
        f"Name the server; this machine is linked to {', '.join(sorted(known))}."
        if known
        else "Name the server, such as https://mesh.example, or set MESH_CLUSTER_URL."
    )
