"""An HTTP/1.1 client that sends exactly the bytes it is given, as no well-behaved client would.

Libraries normalize paths, refuse odd headers and decode bodies. What has to hold against
strangers is tested with this instead.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RudeAnswer:
    """What came back; header names are in lower case, the last of several counts."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The ``code`` of an error, or an empty string."""
        try:
            return str(self.json()["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""


class RudeClient:
    """Sends to the server at ``url``; over TLS without checking the certificate.

    ``connect_to`` is the loopback port, where the name in ``url`` resolves to nothing. ``source``
    is the address that the client calls from; all of 127.0.0.0/8 is loopback.
    """

    def __init__(
        self, url: str, *, connect_to: int = 0, timeout: float = 20, source: str = ""
    ) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._name = parts.hostname or ""
        self._is_tls = parts.scheme == "https"
        self._port = connect_to or parts.port or (443 if self._is_tls else 80)
        self._timeout = timeout
        self._source = (source, 0) if source else None

    def connect(self, *, host: str = "") -> socket.socket:
        """Return an open connection; ``host`` is the name asked for in TLS."""
        at = ("127.0.0.1", self._port)
        plain = socket.create_connection(at, self._timeout, source_address=self._source)
        if not self._is_tls:
            return plain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        name = host.partition(":")[0] or self._name
        return context.wrap_socket(plain, server_hostname=name)

    def request(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        host: str = "",
    ) -> RudeAnswer:
        """Send one request whose target is not touched, and read the answer.

        ``Host`` and ``Content-Length`` are added unless they are given.
        """
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        given = {name.lower() for name, _ in pairs}
        if "host" not in given:
            pairs.insert(0, ("Host", host or self.host))
        if body and not given & {"content-length", "transfer-encoding"}:
            pairs.append(("Content-Length", str(len(body))))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
        return self.send(head + body, method=method, host=host)

    def send(self, raw: bytes, *, method: str = "GET", host: str = "") -> RudeAnswer:
        """Send these bytes on a connection of their own, and read one answer.

        An ``OSError`` or ``http.client.HTTPException`` is what a server's refusal to answer
        looks like.
        """
        with self.connect(host=host) as connection:
            connection.sendall(raw)
            answer = HTTPResponse(connection, method=method)
            answer.begin()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return RudeAnswer(answer.status, names, answer.read())

    def upgrade(self, target: str, headers: Headers = (), *, host: str = "") -> RudeAnswer:
        """Ask for a WebSocket, and return the answer to the handshake: 101, or the refusal."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        asked = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ]
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {host or self.host}",
            *(f"{name}: {value}" for name, value in [*asked, *pairs]),
        ]
        with self.connect(host=host) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            answer = HTTPResponse(connection, method="GET")
            answer.begin()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return RudeAnswer(answer.status, names, b"")
