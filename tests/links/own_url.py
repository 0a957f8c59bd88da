"""A person's own address for their laptop: a name, a certificate, and what ends TLS before it."""

import asyncio
import contextlib
import datetime
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "laptop.mesh.example"


class Authority:
    """A certificate authority of one's own, as a company has it."""

    def __init__(self, folder, name="Tests' own"):
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        ours = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._certificate(self._name, self._key).add_extension(ours, critical=True)
        self.file = folder / f"{name}.pem"
        self._write(self.file, certificate.sign(self._key, hashes.SHA256()))

    def issue(self, name):
        """Return the context of a server that is ``name``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        named = x509.SubjectAlternativeName([x509.DNSName(name)])
        certificate = self._certificate(subject, key).add_extension(named, critical=False)
        file = self.folder / f"{name}.crt"
        self._write(file, certificate.sign(self._key, hashes.SHA256()))
        plain = serialization.NoEncryption()
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        file.with_suffix(".key").write_bytes(key.private_bytes(pem, pkcs8, plain))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, file.with_suffix(".key"))
        return context

    def _certificate(self, subject, key):
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        return (
            x509.CertificateBuilder(self._name, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
        )

    def _write(self, path, certificate):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@contextlib.asynccontextmanager
async def tls_front(context, to_port):
    """End TLS on a free loopback port, and pass everything on to ``to_port``; yield the port."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to_port)
            ways = (_pass(reader, far_writer), _pass(far_reader, writer))
            await asyncio.gather(*ways)
        except OSError:
            pass  # nobody listens there yet, or one of both has gone
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()


def name_on_loopback(monkeypatch, name=NAME):
    """Let ``name`` mean this machine, as a line in /etc/hosts would."""
    real = socket.getaddrinfo

    def look_up(host, *about, **more):
        asked = host.decode() if isinstance(host, bytes) else host
        return real("127.0.0.1" if asked == name else host, *about, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
