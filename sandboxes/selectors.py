"""Reads the records of sandboxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from agents.models import Agent
from links.models import Link
from links.wire.names import is_key
from mesh.models import User
from sandboxes.core import vm_map
from sandboxes.core.handle import parse_project_ref, project_ref
from sandboxes.core.kinds import KINDS, REMOTE_USER
from sandboxes.core.vm_map import VmEntry
from sandboxes.models import SandboxRunnerState
from sandboxes.providers.base import RecordKey


@dataclass(frozen=True, slots=True)
class SandboxRecord:
    """One recorded sandbox, and its owner."""

    agent: Agent
    user_id: int
    branch: str
    entry: VmEntry


@dataclass(frozen=True, slots=True)
class UserTree:
    """A person's sandboxes of an agent: branch → entries. ``name`` is the person's, if known."""

    key: str
    name: str
    branches: tuple[tuple[str, tuple[VmEntry, ...]], ...]


def recorded_cell(*, agent: Agent, user_id: int, branch: str) -> dict[str, VmEntry]:
    """Return the recorded sandboxes of a person's branch: kind → sandbox, running or not.

    Makes no query, except for a conversation's key, whose sandboxes are only rows.
    """
    cell = vm_map.find_cell(agent.metadata, user=str(user_id), branch=branch) or {}
    if not is_key(branch):
        return cell
    ref = project_ref(org_id=agent.organization_id, agent_id=agent.pk, branch=branch)
    rows = SandboxRunnerState.objects.filter(
        user_id=user_id, project_ref=ref, started_at__isnull=False
    )
    found = {row.sandbox_provider_kind: entry_of_row(row) for row in rows.order_by("created_at")}
    return cell | {kind: entry for kind, entry in found.items() if kind in KINDS}


def entry_of_row(row: SandboxRunnerState) -> VmEntry:
    """Return a row in the form of an entry of vmMap."""
    return VmEntry(
        vm_id=row.handle,
        kind=row.sandbox_provider_kind,
        link_id=str(row.link_id) if row.link_id else None,
        created_at=int((row.started_at or row.created_at).timestamp() * 1000),
    )


def recorded_link_id(key: RecordKey) -> UUID | None:
    """Return the machine that has the files of a person's branch, if one is recorded."""
    ref = project_ref(org_id=key.org_id, agent_id=key.agent_id, branch=key.branch)
    rows = SandboxRunnerState.objects.filter(
        user_id=key.user_id, project_ref=ref, sandbox_provider_kind=REMOTE_USER
    )
    return rows.filter(started_at__isnull=False).values_list("link_id", flat=True).first()


def find_recorded(row: SandboxRunnerState) -> SandboxRecord | None:
    """Return the record of a row; ``None`` if its agent no longer exists."""
    return next(iter(find_all_recorded([row])))


def find_all_recorded(rows: Sequence[SandboxRunnerState]) -> list[SandboxRecord | None]:
    """Return the record of each row, in their order. One query for all."""
    ids = {_agent_id(row) for row in rows} - {None}
    agents = Agent.objects.in_bulk([one for one in ids if one is not None])
    return [_recorded(row, agents) for row in rows]


def _recorded(row: SandboxRunnerState, agents: Mapping[UUID, Agent]) -> SandboxRecord | None:
    agent_id, parts = _agent_id(row), parse_project_ref(row.project_ref)
    agent = agents.get(agent_id) if agent_id else None
    if agent is None or parts is None:
        return None
    entry = vm_map.find_entry(
        agent.metadata, user=str(row.user_id), branch=parts[2], kind=row.sandbox_provider_kind
    )
    return SandboxRecord(agent, row.user_id, parts[2], entry or entry_of_row(row))


def _agent_id(row: SandboxRunnerState) -> UUID | None:
    parts = parse_project_ref(row.project_ref)
    try:
        return UUID(parts[1]) if parts else None
    except ValueError:
        return None


def machine_names(ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Return the names of the machines that still exist. One query."""
    rows = Link.objects.filter(pk__in={one for one in ids if one is not None})
    return {row.pk: str(row) for row in rows}


def find_cell(*, agent: Agent, user: str, branch: str, kind: str) -> SandboxRecord | None:
    """Return the sandbox in a cell of vmMap."""
    entry = vm_map.find_entry(agent.metadata, user=user, branch=branch, kind=kind)
    if entry is None or not (user.isascii() and user.isdecimal()):
        return None
    return SandboxRecord(agent, int(user), branch, entry)


def tree_of(agent: Agent) -> list[UserTree]:
    """Return an agent's vmMap with people's names, for the admin. One query."""
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
