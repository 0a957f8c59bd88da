"""A real container engine for the tests, and an image to begin with.

``MESH_TEST_ENGINE`` (such as unix:///var/run/docker.sock) names one that is there; its base is
then an official image. Without it Podman is started here, with a storage of its own, and the
base is a Debian made by debootstrap, which is kept in ``.tools`` (about a minute, once).
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent
BASE_TAR = ROOT / ".tools" / "base-bookworm.tar"
SUITE = "bookworm"
PACKAGES = "python3,python3-venv,git,ca-certificates"
NEEDED = ("podman", "runc", "debootstrap")
NETWORK = f"mesh-tests-{os.getpid()}"
# Of the machine on which Podman is nested into another container.
PODMAN = ("--runtime=runc", "--storage-driver=vfs", "--cgroup-manager=cgroupfs")


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
        wheels = download_wheels()
        context = packed({**files, "wheels": wheels})
        try:
            client = self.client()
            image, _ = client.images.build(
                fileobj=io.BytesIO(context),
                custom_context=True,
                dockerfile=dockerfile,
                tag=tag,
                rm=True,
                forcerm=True,
                network_mode="host",
                buildargs={
                    "BASE": self.base,
                    "PIP_NO_INDEX": "1",
                    "PIP_FIND_LINKS": "/usr/src/mesh/wheels",
                },
            )
            assert image.id
        finally:
            shutil.rmtree(wheels)
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
    ]
    with base_tar().open("rb") as tar:
        subprocess.run([*argv, "import", "-q", "-", "localhost/mesh-base"], stdin=tar, check=True)
    socket, config = folder / "podman.sock", folder / "containers.conf"
    # There may be no journald. The network, made first, has a range that nobody else uses.
    config.write_text(
        f'[containers]\nlog_driver = "k8s-file"\n[network]\ndefault_network = "{NETWORK}"\n'
    )
    subprocess.run([*argv, "network", "create", NETWORK], check=True, capture_output=True)
    log = (folder / "podman.log").open("wb")
    service = subprocess.Popen(
        [*argv, "system", "service", "--time=0", f"unix://{socket}"],
        stdout=log,
        stderr=log,
        env={**os.environ, "CONTAINERS_CONF": str(config)},
        start_new_session=True,
    )
    try:
        until(socket.exists, what="Podman to listen")
        yield f"unix://{socket}"
    finally:
        subprocess.run([*argv, "rm", "-fa", "-t", "0"], capture_output=True, check=False)
        service.terminate()
        service.wait(10)
        log.close()


def base_tar() -> Path:
    """Return a root file system with Python and git; make it if it isn't there."""
    if BASE_TAR.exists():
        return BASE_TAR
    BASE_TAR.parent.mkdir(exist_ok=True)
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
    return BASE_TAR


def download_wheels() -> Path:
    """Return a folder with the wheels of the laptop's program for the base's Python."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-wheels-"))
    project = _dependencies()
    argv = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:"]
    argv += ["--python-version", "3.11", "-c", str(ROOT / "requirements.txt"), "-d", str(folder)]
    subprocess.run([*argv, *project], check=True)
    return folder


def _dependencies() -> list[str]:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [one.partition(";")[0].strip() for one in project["dependencies"]]


def packed(files: dict[str, Path]) -> bytes:
    """Return a build context of ``files``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in files.items():
            tar.add(path, arcname=name, filter=_source_only)
    return buffer.getvalue()


def _source_only(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info
