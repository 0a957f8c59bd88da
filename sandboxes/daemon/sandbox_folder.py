"""The files of one sandbox: its folder, its lock, its socket, its pid file.

Only its user reaches the socket. That is no proof: its agents are of that user, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from links.wire.server_signature import is_key
from mesh.lib.errors import AppError
from mesh.plain_files import open_plain, read_plain, write_plain
from mesh.processes import started_at
from mesh.version import VERSION
from sandboxes.daemon import container
from sandboxes.daemon.spec import Spec, parse_spec
from sandboxes.daemon.startup_secrets import Given

SOCKET_PATH_LIMIT = 100  # bytes; macOS allows 104


class NotASandbox(AppError):
    code = "not_a_sandbox"
    text = "The folder does not hold a sandbox."
    hint = "The link program makes it, with a spec.json, and starts it with the server's key."


class AlreadyRunning(AppError):
    code = "already_running"
    text = "Another process serves this sandbox."
    hint = "Nothing is to be done: its pid file says where it listens."


@dataclass(slots=True)
class Place:
    """The folder of one sandbox, held by this process alone as long as it lives."""

    root: Path
    spec: Spec
    given: Given
    _lock: IO[str] = field(repr=False)
    address: tuple[str, int] | None = None

    @classmethod
    def open(cls, root: Path, given: Given, *, address: tuple[str, int] | None = None) -> Place:
        """Take hold of ``root``; ``address`` is where to listen, empty: at a socket in it.

        Raises:
            NotASandbox: spec.json is missing or unreadable, or the server's key was not given.
            AlreadyRunning: another process holds it.
        """
        try:
            spec = parse_spec(json.loads(read_plain(root / "spec.json")))
        except (OSError, ValueError) as exc:
            raise NotASandbox(f"{root} does not hold a sandbox: {exc}.") from exc
        if not is_key(given.server_key):
            raise NotASandbox("The server's key was not given.")
        if address is not None and not given.token:
            raise NotASandbox("A sandbox at a port needs a token.")
        root.chmod(0o700)
        # The system lets go of the lock when the process dies, however it dies.
        try:
            handle = open_plain(root / "lock", os.O_WRONLY | os.O_CREAT)
        except OSError as exc:
            raise NotASandbox(f"{root} can't be locked: {exc}.") from exc
        lock = os.fdopen(handle, "w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            lock.close()
            raise AlreadyRunning from exc
        (root / "tmp").mkdir(exist_ok=True)
        return cls(root, spec, given, lock, address)

    @property
    def socket_path(self) -> Path:
        """Where to listen: in the folder, or under a private one when that path is too long."""
        path = self.root / "sandbox.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:24]
        return _private_folder() / f"{name}.sock"

    def listen(self) -> socket.socket:
        """Return a listening socket that only this user may connect to, or what a container has."""
        if self.address is not None:
            return container.listening(self.address)
        path = self.socket_path
        path.unlink(missing_ok=True)  # ours: we hold the lock
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(128)
        return listener

    def announce(self, boot_id: str) -> None:
        """Write the pid file: from now on the link may find this process."""
        pid = os.getpid()
        facts = {
            "pid": pid,
            "started": started_at(pid),
            "socket": str(self.socket_path),
            "bootId": boot_id,
            "version": VERSION,
        }
        _write_atomically(self.root / "pid", facts)

    def withdraw(self) -> None:
        """Remove what announces this process."""
        (self.root / "pid").unlink(missing_ok=True)
        self.socket_path.unlink(missing_ok=True)
        self._lock.close()


def _private_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"mesh-sandboxes-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    # The temporary folder is everybody's: somebody else may have made it first.
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077 or folder.is_symlink():
        raise NotASandbox(f"{folder} belongs to somebody else; its socket can't be there.")
    return folder


def _write_atomically(path: Path, value: Any) -> None:
    new = path.with_name(f"{path.name}.new")
    write_plain(new, json.dumps(value))
    new.replace(path)
