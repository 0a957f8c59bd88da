"""Builds the wheel of the laptop's program: the same bytes for the same files, in under a second.

Also the build backend of ``pip install .`` (PEP 517, named in pyproject.toml). Only the standard
library and no network, so that a server can make what it hands out, and hands out exactly
the program that fits it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mesh.version import VERSION

ROOT: Final = Path(__file__).resolve().parents[2]
# All that a laptop needs; nothing of the server, and no Django.
FILES: Final = (
    "agents/__init__.py",
    "agents/demo_agent.py",
    "agents/harness/**/*.py",
    "links/__init__.py",
    "links/daemon/**/*.py",
    "links/local_websockets.py",
    "links/peer.py",
    "links/signed_requests.py",
    "links/sockets.py",
    "links/upload.py",
    "links/upstream.py",
    "links/wire/**/*.py",
    "mesh/__init__.py",
    "mesh/agent_programs/*.py",
    "mesh/agent_programs/catalog.toml",
    "mesh/agent_programs/policies/*",
    "mesh/agent_programs/registry.toml",
    "mesh/background.py",
    "mesh/boot_files.py",
    "mesh/children.py",
    "mesh/plain_files.py",
    "mesh/env.py",
    "mesh/framing.py",
    "mesh/git/**/*.py",
    "mesh/http_protocol.py",
    "mesh/http_server.py",
    "mesh/launch.py",
    "mesh/lib/**/*.py",
    "mesh/process_tree.py",
    "mesh/processes.py",
    "mesh/version.py",
    "mesh/websocket_protocol.py",
    "mesh/write_watch.py",
    "sandboxes/__init__.py",
    "sandboxes/daemon/**/*.py",
)
_TAG: Final = "py3-none-any"
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier one


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel and its file name, which changes with any of its files."""

    name: str
    data: bytes


class UnsupportedOperation(Exception):
    """How PEP 517 says that a backend makes no source distributions."""


def build(root: Path = ROOT) -> Wheel:
    """Return the wheel of the files below ``root``."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for pattern in FILES
        for path in root.glob(pattern)
    }
    name = str(project["name"]).replace("-", "_")
    version = f"{VERSION}+{_digest(files, project)}"
    info = f"{name}-{version}.dist-info"
    files |= {
        f"{info}/METADATA": _metadata(project, version).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: mesh {VERSION}\n"
        f"Root-Is-Purelib: true\nTag: {_TAG}\n".encode(),
        f"{info}/entry_points.txt": _entry_points(project).encode(),
    }
    files[f"{info}/RECORD"] = _record(files, info).encode()
    return Wheel(f"{name}-{version}-{_TAG}.whl", _zip(files))


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: object = None
) -> str:
    """Write the wheel into ``wheel_directory``; return its name (PEP 517)."""
    wheel = build()
    (Path(wheel_directory) / wheel.name).write_bytes(wheel.data)
    return wheel.name


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    """Raises:
    UnsupportedOperation: always; the source is the repository.
    """
    raise UnsupportedOperation("Mesh makes no source distribution.")


def _digest(files: Mapping[str, bytes], project: Mapping[str, Any]) -> str:
    """Return eight digits that stand for these contents: tools keep what a version once was."""
    digest = hashlib.sha256(repr(sorted(project.items(), key=str)).encode())
    for path in sorted(files):
        digest.update(f"{path}\0{len(files[path])}\0".encode() + files[path])
    return digest.hexdigest()[:8]


def _metadata(project: Mapping[str, Any], version: str) -> str:
    extras: Mapping[str, Iterable[str]] = project.get("optional-dependencies", {})
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {version}",
        f"Summary: {project['description']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {needed}" for needed in project["dependencies"]),
        *(f"Provides-Extra: {extra}" for extra in extras),
    ]
    return "\n".join(lines) + "\n"


def _entry_points(project: Mapping[str, Any]) -> str:
    scripts = [f"{name} = {where}" for name, where in project["scripts"].items()]
    return "\n".join(["[console_scripts]", *scripts]) + "\n"


def _record(files: Mapping[str, bytes], info: str) -> str:
    lines = []
    for path, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"


def _zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[path])
    return packed.getvalue()
