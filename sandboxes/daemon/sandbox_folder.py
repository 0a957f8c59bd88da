"""The files of one sandbox: its folder, its lock, its socket, its pid file.

Only its user can connect to the socket. That proves nothing: its agents run as that user, too.
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
from sandboxes.daemon.startup_secrets import StartupSecrets

SOCKET_PATH_LIMIT = 100  # bytes; macOS allows 104


class NotASandbox(AppError):
    code = "not_a_sandbox"
    text = "The folder does not hold a sandbox."
    hint = "Let the link program start it: that writes spec.json and passes the server's key."


class AlreadyRunning(AppError):
    code = "already_running"
    text = "Another process already serves this sandbox."
    hint = "Nothing to do: its pid file says where it listens."


@dataclass(slots=True)
class SandboxFolder:
    """The folder of one sandbox, locked by this process as long as it lives."""

    root: Path
    spec: Spec
    secrets: StartupSecrets
    _lock: IO[str] = field(repr=False)
    address: tuple[str, int] | None = None

    @classmethod
    def open(
        cls, root: Path, secrets: StartupSecrets, *, address: tuple[str, int] | None = None
    ) -> SandboxFolder:
        """Lock ``root``; the sandbox listens on ``address``, or on a socket file without one.

        Raises:
            NotASandbox: spec.json is missing or unreadable, or the server's key is missing.
            AlreadyRunning: another process holds the lock.
        """
        try:
            spec = parse_spec(json.loads(read_plain(root / "spec.json")))
        except (OSError, ValueError) as exc:
            raise NotASandbox(f"{root} does not hold a sandbox: {exc}.") from exc
        if not is_key(secrets.server_key):
            raise NotASandbox("The server's key is missing.")
        if address is not None and not secrets.token:
            raise NotASandbox("A sandbox that listens on a port needs a token.")
        root.chmod(0o700)
        # The kernel releases the lock when the process dies, however it dies.
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
        return cls(root, spec, secrets, lock, address)

    @property
    def socket_path(self) -> Path:
        """The socket's path: in the folder, or in a private one if that path is too long."""
        path = self.root / "sandbox.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:24]
        return _private_folder() / f"{name}.sock"

    def listen(self) -> socket.socket:
        """Return a listening socket: on ``address``, or one that only this user can connect to."""
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
        """Write the pid file, by which the link finds this process."""
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
        """Remove the pid file and the socket, and release the lock."""
        (self.root / "pid").unlink(missing_ok=True)
        self.socket_path.unlink(missing_ok=True)
        self._lock.close()


def _private_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"mesh-sandboxes-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    # The temporary folder is shared: another user may have created this path first.
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077 or folder.is_symlink():
        raise NotASandbox(f"{folder} belongs to another user; the socket can't be there.")
    return folder


def _write_atomically(path: Path, value: Any) -> None:
    new = path.with_name(f"{path.name}.new")
    write_plain(new, json.dumps(value))
    new.replace(path)
