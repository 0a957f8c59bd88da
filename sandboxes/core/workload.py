"""An agent's project according to its metadata: how it is installed and served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sandboxes.core.vm_map import StartedWith

# package manager → what runs the project
RUNTIMES: Final = {
    "npm": "node",
    "pnpm": "node",
    "yarn": "node",
    "bun": "bun",
    "deno": "deno",
    "uv": "python",
    "pip": "python",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How a project is served; the sandbox detects empty values from lock files and scripts."""

    package_manager: str = ""
    port: int = 0
    path: str = ""

    def started_with(self) -> StartedWith:
        """Return the part that vmMap stores."""
        return StartedWith(
            package_manager=self.package_manager or None,
            port=str(self.port) if self.port else None,
            path=self.path or None,
        )

    def as_config(self) -> dict[str, Any] | None:
        """Return the ``application`` of a sandbox's configuration; ``None`` if all is empty."""
        application: dict[str, Any] = {}
        if self.package_manager:
            application["runtime"] = RUNTIMES[self.package_manager]
            path = {"path": self.path} if self.path else {}
            application["packageManager"] = {"name": self.package_manager, **path}
        if self.port:
            application["port"] = self.port
        return application or None


def workload_of(metadata: object) -> Workload:
    """Return the workload in ``metadata["runtime"]``; malformed values count as missing.

    ``selected`` or ``packageManager`` is a name, or an object with ``name`` and ``path``.
    """
    runtime = metadata.get("runtime") if isinstance(metadata, dict) else None
    if not isinstance(runtime, dict):
        return Workload()
    manager: Any = runtime.get("packageManager") or runtime.get("selected")
    path: Any = runtime.get("path")
    if isinstance(manager, dict):
        manager, path = manager.get("name"), manager.get("path") or path
    return Workload(
        package_manager=manager if isinstance(manager, str) and manager in RUNTIMES else "",
        port=_port(runtime.get("port")),
        path=path if isinstance(path, str) and _is_inside(path) else "",
    )


def _port(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 6:
        value = int(value)
    return value if type(value) is int and 0 < value < 65536 else 0


def _is_inside(path: str) -> bool:
    """Return whether ``path`` looks as if inside the repository; the sandbox checks it again."""
    return not path.startswith(("/", "~", "-")) and ".." not in path.split("/")
