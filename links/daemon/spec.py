"""The server's specification of a sandbox: parsed once, checked against the allowed folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from links.daemon.errors import BadHandle, BadSpec, FolderNotAllowed, MissingHandle
from links.wire.names import is_handle
from mesh.lib.repositories import Unclonable, parse_clone_url


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """The body of ``POST /api/sandboxes``, stored as ``spec.json`` in the sandbox's folder."""

    handle: str
    folder: str = ""
    repo: dict[str, str] | None = None
    branch: str = ""
    allowed: tuple[str, ...] = ()  # by this machine: never the server's

    def as_json(self) -> dict[str, Any]:
        optional = {"folder": self.folder, "repo": self.repo, "branch": self.branch}
        allowed = {"allowed": list(self.allowed)} if self.folder else {}
        return {"handle": self.handle, **{k: v for k, v in optional.items() if v}, **allowed}


def parse_spec(value: dict[str, Any], *, allowed: Sequence[Path]) -> SandboxSpec:
    """Return the specification in the body of ``POST /api/sandboxes``.

    Raises:
        MissingHandle, BadHandle, BadSpec: a field is malformed.
        FolderNotAllowed: the folder is neither one of ``allowed`` (real paths) nor below one.
    """
    handle = checked_handle(value.get("handle"))
    folder = _text(value, "folder")
    return SandboxSpec(
        handle=handle,
        folder=allowed_folder(folder, allowed) if folder else "",
        repo=_repo(value.get("repo")),
        branch=_text(value, "branch"),
        allowed=tuple(map(str, allowed)),
    )


def checked_handle(value: object) -> str:
    """Return ``value`` if it is a valid handle, and so a safe folder name.

    Raises:
        MissingHandle: not a string, or an empty one.
        BadHandle: it has characters that a handle can't have.
    """
    if not isinstance(value, str) or not value:
        raise MissingHandle
    if not is_handle(value):
        raise BadHandle
    return value


def allowed_folder(folder: str, allowed: Sequence[Path]) -> str:
    """Return the real path of ``folder``; a symbolic link out of the allowed folders is refused.

    Raises:
        FolderNotAllowed: see ``parse_spec``.
    """
    path = Path(folder).expanduser()
    if not path.is_absolute() or "\x00" in folder:
        raise FolderNotAllowed
    real = path.resolve()
    if not real.is_dir() or not any(real.is_relative_to(root) for root in allowed):
        raise FolderNotAllowed
    return str(real)


def _repo(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadSpec
    repo = {key: _text(value, key) for key in ("cloneUrl", "branch")}
    try:
        parse_clone_url(repo["cloneUrl"])
    except Unclonable as exc:
        raise BadSpec(f"The repository can't be cloned. {exc}") from exc
    return {key: text for key, text in repo.items() if text}


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > 2000:
        raise BadSpec
    return text
