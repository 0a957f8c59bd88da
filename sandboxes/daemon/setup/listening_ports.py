"""Finds the ports on which processes of this machine listen.

``/proc`` on Linux, ``lsof`` on macOS. Only ports that this machine reaches over loopback count.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Final

from mesh import children
from mesh.children import HAS_PROC

_LISTEN: Final = "0A"  # the state of a listening socket in /proc/net/tcp
# Addresses as /proc writes them: words of 32 bits, in the machine's byte order (little-endian).
_ANY: Final = {"0" * 8, "0" * 32, "0000000000000000FFFF000000000000"}
_LOOPBACK: Final = re.compile(r"[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F")
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")
_LSOF: Final = ("lsof", "-nP", "-a", "-iTCP", "-sTCP:LISTEN", "-Fpn", "-p")
_LSOF_WITHIN: Final = 3.0  # seconds


@dataclass(frozen=True, slots=True)
class Listener:
    """A port; ``is_open`` if the whole network reaches it."""

    port: int
    is_open: bool = False


def listeners_of(pids: Collection[int]) -> list[Listener] | None:
    """Return what the processes listen on, by port; ``None`` if the system does not say. Blocking.

    A port that two of them share counts once, and is open if one of them is.
    """
    if not pids:
        return []
    found = _from_proc(pids) if HAS_PROC else _from_lsof(pids)
    return None if found is None else _by_port(found)


def _by_port(found: Iterable[Listener]) -> list[Listener]:
    ports: dict[int, bool] = {}
    for one in found:
        ports[one.port] = ports.get(one.port, False) or one.is_open
    return [Listener(port, ports[port]) for port in sorted(ports)]


def _from_proc(pids: Iterable[int]) -> list[Listener] | None:
    wanted = {inode for pid in pids for inode in _sockets_of(pid)}
    found: list[Listener] = []
    for name in ("tcp", "tcp6"):
        try:
            text = Path(f"/proc/net/{name}").read_text(encoding="ascii", errors="replace")
        except OSError:
            if name == "tcp":
                return None
            continue  # a machine without IPv6
        found += [one for inode, one in read_net(text) if inode in wanted]
    return found


def read_net(text: str) -> list[tuple[str, Listener]]:
    """Return inode and listener of each listening socket in a /proc/net/tcp or tcp6."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 10 or words[3] != _LISTEN:
            continue
        address, _, port = words[1].partition(":")
        if address in _ANY or _LOOPBACK.fullmatch(address):
            found.append((words[9], Listener(int(port, 16), address in _ANY)))
    return found


def _sockets_of(pid: int) -> list[str]:
    """Return the inodes of a process's sockets; none of one that is gone or another user's."""
    inodes = []
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as files:
        for file in files:
            with contextlib.suppress(OSError):
                if found := _SOCKET.fullmatch(os.readlink(file.path)):
                    inodes.append(found[1])
    return inodes


def _from_lsof(pids: Iterable[int]) -> list[Listener] | None:
    asked = [*_LSOF, ",".join(map(str, pids))]
    try:
        lsof = children.start(
            lambda: subprocess.Popen(asked, stdout=PIPE, stderr=DEVNULL, text=True)
        )
    except OSError:
        return None
    with lsof:
        try:
            told, _ = lsof.communicate(timeout=_LSOF_WITHIN)
        except subprocess.TimeoutExpired:
            lsof.kill()
            return None
    return read_lsof(told)


def read_lsof(text: str) -> list[Listener]:
    """Return what ``lsof -F pn`` has listed: lines such as ``n*:3000`` and ``n[::1]:5173``."""
    found = []
    for line in text.splitlines():
        host, colon, port = line[1:].rpartition(":")
        if not (line.startswith("n") and colon and port.isdecimal()):
            continue
        is_loopback = host.startswith("127.") or host in ("[::1]", "localhost")
        if host == "*" or is_loopback:
            found.append(Listener(int(port), host == "*"))
    return found
