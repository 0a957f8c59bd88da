"""Which server is meant, where the command line may leave it out."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from links.daemon import state
from links.daemon.tokens import list_servers
from mesh import env


def checked_server(given: str) -> str:
    """Return the address as the program uses it: without a slash at its end.

    Raises:
        ValueError: it is none; the text says so.
    """
    server = given.rstrip("/")
    try:
        parts = urlsplit(server)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        sound = False
    if not sound or parts.username or parts.query or parts.fragment:
        raise ValueError(f"{given!r} is no address; https://mesh.example would be one.")
    return server


def only_server(home: Path) -> str:
    """Return ``MESH_CLUSTER_URL``, or the one server that this machine is linked to.

    Raises:
        ValueError: there is none, or there are several; the text says which.
    """
    if named := env.read().cluster_url:
        return named
    known = {*list_servers(home), *(link.server for link in state.list_running(home))}
    if len(known) == 1:
        return known.pop()
    raise ValueError(
        f"Which server? There are {', '.join(sorted(known))}."
        if known
        else "Name the server, such as https://mesh.example, or set MESH_CLUSTER_URL."
    )
