"""A real container engine for the tests, and an image to begin with.

``MESH_TEST_ENGINE`` (such as unix:///var/run/docker.sock) names one that is there; its base is
then an official image. Without it Podman is started here, with a storage of its own, and the
base is a Debian made by debootstrap, which is kept in ``.tools`` (about a minute, once).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.server
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
BASE_TAR = TOOLS / "base-bookworm.tar"
SUITE = "bookworm"
PACKAGES = "python3,python3-venv,git,ca-certificates"
BACKPORT = "async-timeout==5.0.1"  # which redis wants below Python 3.11.3
NEEDED = ("podman", "runc", "debootstrap")
NETWORK = f"mesh-tests-{os.getpid()}"
# Of the machine on which Podman is nested into another container.
PODMAN = ("--runtime=runc", "--cgroup-manager=cgroupfs")


@dataclass
class Engine:
    """A Docker-compatible engine. ``run``: what its containers need on this machine.

    ``network`` is one of its own, empty where it can make none.
    """

    url: str
    base: str
    network: str = ""
    run: dict[str, Any] = field(default_factory=dict)

    def client(self) -> Any:
        import docker

        return docker.DockerClient(base_url=self.url, timeout=300)

    def needs_networks(self) -> None:
        """Skip where the engine can make no networks."""
        if not self.network:
            _lacking("networks of containers need iptables")

    def build(self, tag: str, *, dockerfile: str, files: dict[str, Path]) -> str:
        """Build an image from ``files`` (path in the context → file or folder); return its tag.

        pip finds the wheels that this machine's pip found: the engine needs no registry.
        """
        import docker

        with _served(wheels()) as address:
            try:
                image, _ = self.client().images.build(
                    fileobj=io.BytesIO(packed(files)),
                    custom_context=True,
                    dockerfile=dockerfile,
                    tag=tag,
                    rm=True,
                    forcerm=True,
                    network_mode="host",
                    buildargs={
                        "BASE": self.base,
                        "PIP_NO_INDEX": "1",
                        "PIP_FIND_LINKS": address,
                    },
                )
            except docker.errors.BuildError as exc:
                said = "".join(str(line.get("stream", "")) for line in exc.build_log)
                pytest.fail(f"{exc}\n{said[-4_000:]}")
        assert image.id
        return tag


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """Give an engine while the block lasts; skip where a person's machine has none."""
    if url := os.environ.get("MESH_TEST_ENGINE"):
        yield from _named(url)
        return
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        lacking = ", ".join(["root" if os.geteuid() else "", *missing]).strip(", ")
        _lacking(f"MESH_TEST_ENGINE is not set, and {lacking} is missing")
    folder = Path(tempfile.mkdtemp(prefix="mesh-engine-"))
    try:
        with _podman(folder) as url:
            yield Engine(
                url,
                "localhost/mesh-base",
                network=NETWORK if shutil.which("iptables") else "",
                run={
                    "network": "host",
                    "ulimits": {"nofile": 1024, "nproc": 1024},
                    "init": bool(shutil.which("catatonit")),
                },
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lacking(why: str) -> None:
    pytest.skip(f"The containers' tests can't run: {why}.")  # CI takes it for a failure


def _named(url: str) -> Iterator[Engine]:
    """Give a person's own engine, with a network of the tests' for as long."""
    engine = Engine(url, "docker.io/library/python:3.11-slim-bookworm", network=NETWORK)
    network = engine.client().networks.create(NETWORK)
    try:
        yield engine
    finally:
        network.remove()


@contextlib.contextmanager
def _podman(folder: Path) -> Iterator[str]:
    argv = [
        "podman",
        f"--root={folder / 'storage'}",
        f"--runroot={folder / 'run'}",
        # Not the machine's: others may run these tests at the same time.
        f"--network-config-dir={folder / 'networks'}",
        *PODMAN,
        f"--storage-driver={_driver(folder / 'tried')}",
    ]
    with base_tar().open("rb") as tar:
        subprocess.run([*argv, "import", "-q", "-", "localhost/mesh-base"], stdin=tar, check=True)
    address, config = folder / "podman.sock", folder / "containers.conf"
    # There may be no journald. The network, made first, has a range that nobody else uses.
    config.write_text(
        f'[containers]\nlog_driver = "k8s-file"\n[network]\ndefault_network = "{NETWORK}"\n'
    )
    subprocess.run([*argv, "network", "create", NETWORK], check=True, capture_output=True)
    log = (folder / "podman.log").open("wb")
    service = subprocess.Popen(
        [*argv, "system", "service", "--time=0", f"unix://{address}"],
        stdout=log,
        stderr=log,
        env={**os.environ, "CONTAINERS_CONF": str(config)},
        start_new_session=True,
    )
    try:
        until(lambda: _listens(address), what="Podman to listen")
        yield f"unix://{address}"
    finally:
        subprocess.run([*argv, "rm", "-fa", "-t", "0"], capture_output=True, check=False)
        service.terminate()
        service.wait(10)
        log.close()


def _listens(path: Path) -> bool:
    """Return whether a server accepts connections; its socket's file is there before it does."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _driver(root: Path) -> str:
    """Return how layers are stored: on top of each other, or as copies where that can't be had."""
    argv = ["podman", f"--root={root}", f"--runroot={root / 'run'}", "--storage-driver=overlay"]
    found = subprocess.run([*argv, *PODMAN, "info"], capture_output=True, check=False)
    return "vfs" if found.returncode else "overlay"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let no other test process make the same meanwhile."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "containers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def base_tar() -> Path:
    """Return a root file system with Python and git; make it if it isn't there."""
    with _alone():
        if not BASE_TAR.exists():
            _make_base()
    return BASE_TAR


def _make_base() -> None:
    work = Path(tempfile.mkdtemp(prefix="mesh-base-"))
    try:
        root = work / "root"
        argv = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        for needless in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
            shutil.rmtree(root / needless, ignore_errors=True)
        (root / "var/lib/apt/lists/partial").mkdir(parents=True)
        draft = BASE_TAR.with_suffix(f".{os.getpid()}")
        subprocess.run(["tar", "-C", str(root), "-cf", str(draft), "."], check=True)
        draft.rename(BASE_TAR)  # whole, or not at all
    finally:
        shutil.rmtree(work, ignore_errors=True)


def wheels() -> Path:
    """Return a folder with wheels of all requirements for the base's Python; kept in ``.tools``.

    That Python is older than the one that the versions were locked for, by one backport.
    """
    requirements = ROOT / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    folder = TOOLS / f"wheels-{digest}"
    with _alone():
        if not folder.exists():
            for older in TOOLS.glob("wheels-*"):
                shutil.rmtree(older)
            draft = TOOLS / "wheels-draft"
            argv = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:"]
            argv += ["--no-deps", "--python-version", "3.11", "-d", str(draft)]
            subprocess.run([*argv, "-r", str(requirements), BACKPORT], check=True)
            draft.rename(folder)
    return folder


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on loopback; yield the address."""

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join(5)


def packed(files: dict[str, Path]) -> bytes:
    """Return a build context of ``files``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in files.items():
            tar.add(path, arcname=name, filter=_source_only)
    return buffer.getvalue()


def _source_only(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info
