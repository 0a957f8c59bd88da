"""Reading what is recorded of sandboxes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from agents.models import Agent
from mesh.models import User
from sandboxes.core import vm_map
from sandboxes.core.handle import parse_project_ref
from sandboxes.core.vm_map import VmEntry
from sandboxes.models import SandboxRunnerState


@dataclass(frozen=True, slots=True)
class Recorded:
    """One sandbox, and whose it is."""

    agent: Agent
    user_id: int
    branch: str
    entry: VmEntry


@dataclass(frozen=True, slots=True)
class UserTree:
    """What a person has of an agent: branch → entries. ``name``: who that is, if known."""

    key: str
    name: str
    branches: tuple[tuple[str, tuple[VmEntry, ...]], ...]


def find_recorded(row: SandboxRunnerState) -> Recorded | None:
    """Return what a row is of; ``None`` when its agent is gone."""
    parts = parse_project_ref(row.project_ref)
    try:
        agent = Agent.objects.filter(pk=UUID(parts[1])).first() if parts else None
    except ValueError:
        agent = None
    if agent is None or parts is None:
        return None
    kind = row.sandbox_provider_kind
    entry = vm_map.find_entry(agent.metadata, user=str(row.user_id), branch=parts[2], kind=kind)
    return Recorded(agent, row.user_id, parts[2], entry or VmEntry(vm_id=row.handle, kind=kind))


def find_cell(*, agent: Agent, user: str, branch: str, kind: str) -> Recorded | None:
    """Return one sandbox by its place in vmMap."""
    entry = vm_map.find_entry(agent.metadata, user=user, branch=branch, kind=kind)
    if entry is None or not (user.isascii() and user.isdecimal()):
        return None
    return Recorded(agent, int(user), branch, entry)


def tree_of(agent: Agent) -> list[UserTree]:
    """Return an agent's vmMap with people's names, for who looks after it. One query."""
    read = vm_map.normalize_vm_map(agent.metadata)
    names = _names(read)
    return [
        UserTree(
            key=user,
            name=names.get(user, ""),
            branches=tuple((name, tuple(cell.values())) for name, cell in branches.items()),
        )
        for user, branches in read.items()
    ]


def _names(users: Iterable[str]) -> dict[str, str]:
    ids = [int(user) for user in users if user.isascii() and user.isdecimal() and len(user) < 18]
    return {str(user.pk): str(user) for user in User.objects.filter(pk__in=ids)}
