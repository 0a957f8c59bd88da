"""Where a project's dev server may be found: which ports are its own, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from mesh.process_tree import Table, below
from sandboxes.daemon.setup.announced_ports import Announcement
from sandboxes.daemon.setup.listening_ports import Listener

MOST: Final = 12  # ports that are asked at once


@dataclass(frozen=True, slots=True)
class Candidate:
    """A port to ask; with what the server announced of it."""

    port: int
    path: str = "/"
    is_secure: bool = False


def candidates(
    *,
    wanted: int | None,
    given: int | None,
    announced: Iterable[Announcement],
    listening: Collection[Listener] | None,
    chosen: int | None = None,
) -> list[Candidate]:
    """Return the ports to ask, the likeliest first.

    A port that a person ``wanted`` is always asked. Any other, also one ``chosen`` in the menu,
    must be one on which the project's own processes listen: what a program merely prints could name
    somebody else's. Where the system does not say who listens (``listening`` is ``None``), what was
    chosen, ``given`` and announced counts.
    """
    told = {one.port: one for one in announced}
    own = None if listening is None else {one.port for one in listening}
    order = [wanted, chosen, given, *told, *sorted(own or ())]
    ports = [
        port
        for port in dict.fromkeys(order)
        if port is not None and (own is None or port in own or port == wanted)
    ]
    return [_candidate(port, told.get(port)) for port in ports[:MOST]]


def _candidate(port: int, told: Announcement | None) -> Candidate:
    return Candidate(port, told.path, told.is_secure) if told else Candidate(port)


def own_processes(
    processes: Table,
    *,
    starter: int | None,
    programs: Collection[int],
    marked: Collection[int],
    inside: Collection[int],
) -> set[int]:
    """Return the pids of the project's own processes.

    Those are what the start has started (by descent from ``starter``, or ``marked`` if they left
    it), and what else works ``inside`` the project's folder: an agent may have started the server.
    The agents' ``programs`` themselves, with the helpers in their sessions, do not count.
    """
    roots = [] if starter is None else [starter]
    started = {*roots, *(one.pid for one in below(processes, roots)), *marked}
    others = {pid for pid in inside if pid in processes and processes[pid].session not in programs}
    return started | others
