"""Finds the person's SSH agent for a link that runs as a service, and gives it one address.

The address of an agent changes with each sign-in. What agents and their tools get is a symbolic
link of ours, so that programs that are at work find the new one too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "SSH_AUTH_SOCK"
# Below the folder of the person's session: systemd's ssh-agent, GNOME's, gpg-agent.
_USUAL: Final = (
    *("ssh-agent.socket", "openssh_agent", "gcr/ssh", "keyring/ssh", "gnupg/S.gpg-agent.ssh"),
)
_WAIT: Final = 1.0  # seconds for an agent to accept a connection


def own_address(home: Path) -> Path:
    return home / "link" / "ssh-agent"


def find(home: Path, *candidates: str, environ: Mapping[str, str]) -> str:
    """Return the socket of an agent that is running: one of ``candidates``, else where they
    usually are; empty if there is none."""
    ours = str(own_address(home))
    for address in (*candidates, *_usual(environ)):
        if address and address != ours and is_listening(address):
            return address
    return ""


def point_to(home: Path, address: str) -> str:
    """Have our address lead to ``address``; return ours, or an empty text if there is no agent.

    Raises:
        OSError: our folder can't be written.
    """
    ours = own_address(home)
    ours.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not address:
        ours.unlink(missing_ok=True)
        return ""
    draft = ours.with_name(f".ssh-agent.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(address)
    draft.replace(ours)
    return str(ours)


def _usual(environ: Mapping[str, str]) -> Iterator[str]:
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(
                ["/bin/launchctl", "getenv", VARIABLE], capture_output=True, timeout=_WAIT
            )
            yield os.fsdecode(said.stdout.strip())
    if folder := environ.get("XDG_RUNTIME_DIR"):
        yield from (os.path.join(folder, name) for name in _USUAL)


def is_listening(address: str) -> bool:
    """Return whether a socket of the person's own answers there."""
    try:
        found = os.stat(address)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            return False
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_WAIT)
            sock.connect(address)
    except (OSError, ValueError):
        return False
    return True
