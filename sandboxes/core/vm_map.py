"""vmMap: the sandboxes that people have of an agent, by branch and kind.

Stored in the agent's ``metadata["vmMap"]`` as user → branch → kind → entry. Reading accepts every
form that was ever written; writing changes one cell and keeps the rest. An entry means that a
sandbox was made, not that it is running.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sandboxes.core import reference
from sandboxes.core.kinds import KINDS

Object = dict[str, Any]

MAP: Final = reference.MAP


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedWith:
    """The configured options of the sandbox's dev server; ``None``: the sandbox detects it."""

    package_manager: str | None = None
    port: str | None = None
    path: str | None = None

    def as_json(self) -> Object:
        """Return its form in ``metadata``."""
        return {"packageManager": self.package_manager, "port": self.port, "path": self.path}


@dataclass(frozen=True, slots=True, kw_only=True)
class VmEntry:
    """One sandbox. ``created_at`` in ms since 1970, 0: unknown; ``link_id`` is its machine."""

    vm_id: str
    kind: str
    preview_url: str | None = None
    sandbox_url: str | None = None
    link_id: str | None = None
    created_at: int = 0
    started_with: StartedWith = field(default_factory=StartedWith)

    @property
    def machine(self) -> UUID | None:
        """The machine's id, if ``link_id`` is valid: other programs write metadata, too."""
        try:
            return UUID(self.link_id) if self.link_id else None
        except ValueError:
            return None

    def as_json(self) -> Object:
        """Return its form in ``metadata``."""
        machine = {"linkId": self.link_id} if self.link_id else {}
        return {
            "vmId": self.vm_id,
            "previewUrl": self.preview_url,
            "sandboxUrl": self.sandbox_url,
            "sandboxProviderKind": self.kind,
            "createdAt": self.created_at,
            "startedWith": self.started_with.as_json(),
            **machine,
        }


Cell = dict[str, VmEntry]  # kind → entry
VmMap = dict[str, dict[str, Cell]]  # user → branch → cell


def normalize_vm_map(metadata: object) -> VmMap:
    """Return the map of any ``metadata``; empty if there is none, or none that can be read.

    Malformed entries and unknown kinds are skipped, their siblings kept; two-level cells and cells
    without a kind are read as migration 087 would convert them.
    """
    vm_map = metadata.get(MAP) if isinstance(metadata, dict) else None
    return {
        user: {branch: _cell(cell) for branch, cell in _objects(branches).items()}
        for user, branches in _objects(vm_map).items()
    }


def find_cell(metadata: object, *, user: str, branch: str) -> Cell | None:
    """Return a person's sandboxes of a branch; ``None`` if the map has none."""
    # Without reading the whole map, which has everybody's: this runs for each message.
    branches = _object(_object(_object(metadata).get(MAP)).get(user))
    cell = branches.get(branch)
    return _cell(cell) if isinstance(cell, dict) else None


def find_entry(metadata: object, *, user: str, branch: str, kind: str) -> VmEntry | None:
    """Return one sandbox, or ``None``."""
    return (find_cell(metadata, user=user, branch=branch) or {}).get(kind)


def set_entry(metadata: object, *, user: str, branch: str, entry: VmEntry) -> Object:
    """Return ``metadata`` with the entry in its cell; sibling kinds and everything else are kept.

    A sandbox keeps its first ``created_at``.
    """
    before = find_entry(metadata, user=user, branch=branch, kind=entry.kind)
    written = entry.as_json()
    if before is not None and before.vm_id == entry.vm_id and before.created_at:
        written["createdAt"] = before.created_at
    whole, vm_map, branches, cell = _opened(metadata, user, branch)
    cell = {**cell, entry.kind: written}
    return {**whole, MAP: {**vm_map, user: {**branches, branch: cell}}}


def remove_entry(metadata: object, *, user: str, branch: str, kind: str) -> Object:
    """Return ``metadata`` without the entry, and without a branch or user that becomes empty."""
    whole, vm_map, branches, cell = _opened(metadata, user, branch)
    if kind not in cell:
        return whole
    cell = _without(cell, kind)
    branches = {**branches, branch: cell} if cell else _without(branches, branch)
    vm_map = {**vm_map, user: branches} if branches else _without(vm_map, user)
    return {**whole, MAP: vm_map}


def list_entries(metadata: object) -> list[tuple[str, str, VmEntry]]:
    """Return every sandbox with its user and branch, in the map's order."""
    return [
        (user, branch, entry)
        for user, branches in normalize_vm_map(metadata).items()
        for branch, cell in branches.items()
        for entry in cell.values()
    ]


def _opened(metadata: object, user: str, branch: str) -> tuple[Object, Object, Object, Object]:
    """Return the four levels down to a cell, as objects; the cell is by kind."""
    whole = metadata if isinstance(metadata, dict) else {}
    vm_map = _object(whole.get(MAP))
    branches = _object(vm_map.get(user))
    return whole, vm_map, branches, reference.by_kind(_object(branches.get(branch)))


def _cell(cell: Object) -> Cell:
    read = {kind: _entry(kind, value) for kind, value in reference.by_kind(cell).items()}
    return {kind: entry for kind, entry in read.items() if entry is not None}


def _entry(kind: str, value: object) -> VmEntry | None:
    if kind not in KINDS or not isinstance(value, dict):
        return None
    vm_id = value.get("vmId")
    if not isinstance(vm_id, str) or not vm_id:
        return None
    created_at = value.get("createdAt")
    started = _object(value.get("startedWith"))
    return VmEntry(
        vm_id=vm_id,
        kind=kind,
        preview_url=_text(value, "previewUrl"),
        sandbox_url=_text(value, "sandboxUrl"),
        link_id=_text(value, "linkId"),
        created_at=created_at if type(created_at) is int else 0,
        started_with=StartedWith(
            package_manager=_text(started, "packageManager"),
            port=_text(started, "port"),
            path=_text(started, "path"),
        ),
    )


def _text(values: Object, key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> dict[str, Object]:
    return {key: inner for key, inner in _object(value).items() if isinstance(inner, dict)}


def _without(values: Object, key: str) -> Object:
    return {name: value for name, value in values.items() if name != key}
