"""An https server at any name: git reaches it through a proxy, which is the server itself.

Mesh clones from no address of this machine. So git is told, in the person's own configuration, to
use a proxy on this machine, and to trust its certificate for ``git.example``.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from tests.certificates import certificate_of

CRLF = "\r\n"


class HttpsServer:
    """Answers each path as ``pages`` says: a status, headers, and a body."""

    def __init__(self, folder: Path, name: str = "git.example") -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.certificate = folder / "certificate.pem"
        self.certificate.write_bytes(certificate_of(name))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_closed = True
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()  # wakes it
        self._thread.join()
        self._listener.close()

    def trusted_by(self, home: Path) -> None:
        """Write the configuration of a person who uses this proxy."""
        (home / ".gitconfig").write_text(
            f"[http]\n\tproxy = http://127.0.0.1:{self.port}\n\tsslCAInfo = {self.certificate}\n"
        )

    def repository(self, path: str, folder: Path) -> None:
        """Have the references of the bare repository ``folder`` at ``path``."""
        command = ["git", "upload-pack", "--http-backend-info-refs", str(folder)]
        refs = subprocess.run(command, check=True, capture_output=True).stdout
        body = b"001e# service=git-upload-pack\n0000" + refs
        kind = "application/x-git-upload-pack-advertisement"
        self.pages[f"{path}/info/refs"] = (200, {"Content-Type": kind}, body)

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._is_closed:
                connection.close()
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            _head(connection)  # CONNECT
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._tls.wrap_socket(connection, server_side=True) as secure:
                while head := _head(secure):
                    path = head.split()[1].partition("?")[0]
                    self.asked.append(path)
                    status, headers, body = self.pages.get(path, (404, {}, b"no such page"))
                    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}"]
                    lines += [f"{name}: {value}" for name, value in headers.items()]
                    secure.sendall((CRLF.join(lines) + 2 * CRLF).encode() + body)


def _head(connection: socket.socket) -> str:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        if not (more := connection.recv(1)):
            return ""
        data += more
    return data.decode()
