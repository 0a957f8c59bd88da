"""Imports a database of the reference, of any version, for an organization moving here (ADR 14).

Each row goes through the steps that our migrations share (``sandboxes.core.reference``), as if the
reference's migrations 083 to 088 had run. It is stored under an id made from the reference's own,
so that a second import updates what has changed and adds nothing twice.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from agents.models import Agent
from links.wire.names import is_handle
from mesh.models import Membership, Organization, Role, User
from mesh.services import RESERVED_SLUGS, make_organization
from sandboxes.core import reference
from sandboxes.core.dump import Row
from sandboxes.core.kinds import KINDS
from sandboxes.core.vm_map import MAP
from sandboxes.models import SandboxRunnerState
from threads.models import Thread

TABLES: Final = frozenset(
    {
        *("organization", "user", "member", "connections", "threads"),
        *("sandbox_runner_state", "ai_provider_keys"),
    }
)
_NAMESPACE: Final = UUID("6f0a3b8e-3c0f-4e51-9d57-1f6b6f3f8d0c")


@dataclass(slots=True)
class Loaded:
    """The result: ``imported`` counts rows by table, ``skipped`` by reason."""

    imported: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


def load_reference(rows: Iterable[tuple[str, Row]]) -> Loaded:
    """Import the rows of a dump, all or none; return the counts. Safe to repeat."""
    tables: defaultdict[str, list[Row]] = defaultdict(list)
    for table, row in rows:
        tables[table].append(row)
    with transaction.atomic():
        return _Load(tables).all()


class _Load:
    def __init__(self, tables: dict[str, list[Row]]) -> None:
        self._tables = tables
        self._loaded = Loaded()
        self._organizations: dict[str, Organization] = {}
        self._users: dict[str, User] = {}
        self._agents: dict[str, Agent] = {}

    def all(self) -> Loaded:
        for row in self._tables["organization"]:
            self._organization(row)
        for row in self._tables["user"]:
            self._user(row)
        for row in self._tables["member"]:
            self._member(row)
        for row in self._tables["connections"]:
            self._agent(row)
        for row in self._tables["threads"]:
            self._thread(row)
        for row in self._tables["sandbox_runner_state"]:
            self._state(row)
        for row in self._tables["ai_provider_keys"]:
            self._key(row)
        return self._loaded

    def _organization(self, row: Row) -> None:
        slug = _slug(row.get("slug") or row.get("name") or "")
        found = make_organization(slug=slug, name=(row.get("name") or slug)[:120])
        self._organizations[_id(row)] = found
        self._loaded.imported["organization"] += 1

    def _user(self, row: Row) -> None:
        email = (row.get("email") or "").lower()
        if not email:
            self._loaded.skipped["user without an address"] += 1
            return
        # Existing accounts stay as they are; new ones can sign in once a password is set.
        named = Q(email__iexact=email) | Q(username__iexact=email[:150])
        user = User.objects.filter(named).first()
        if user is not None and not _is_known(user):
            self._loaded.skipped["user whose address another account has"] += 1
            return
        if user is None:
            user = User(username=email[:150], email=email)
            user.set_unusable_password()
            user.save()
        self._users[_id(row)] = user
        self._loaded.imported["user"] += 1

    def _member(self, row: Row) -> None:
        organization = self._organizations.get(_either(row, "organizationId", "organization_id"))
        user = self._users.get(_either(row, "userId", "user_id"))
        if organization is None or user is None:
            self._loaded.skipped["member without user or organization"] += 1
            return
        name = row.get("role") or ""
        role = name if name in Role.values else Role.MEMBER
        Membership.objects.get_or_create(
            organization=organization, user=user, defaults={"role": role}
        )
        self._loaded.imported["member"] += 1

    def _agent(self, row: Row) -> None:
        """Only connections of the type VIRTUAL are agents."""
        organization = self._organizations.get(_either(row, "organization_id", "organizationId"))
        if (row.get("connection_type") or row.get("type") or "").upper() != "VIRTUAL":
            return
        if organization is None:
            self._loaded.skipped["agent without organization"] += 1
            return
        pk = _ours(row)
        metadata = self._metadata(row.get("metadata"))
        title = (row.get("title") or "Agent")[:120]
        agent, _ = Agent.objects.update_or_create(
            pk=pk,
            defaults={"metadata": metadata, "title": title, "organization": organization},
            create_defaults={
                "metadata": metadata,
                "title": title,
                "organization": organization,
                "slug": f"{_slug(title)[:50]}-{pk.hex[:8]}",
                "instructions": row.get("description") or "",
            },
        )
        self._agents[_id(row)] = agent
        self._loaded.imported["agent"] += 1

    def _metadata(self, text: str | None) -> dict[str, Any]:
        """Return an agent's metadata after 085, 086 and 087; never NULL."""
        for step in (
            reference.rename_runner_kind,
            reference.wrap_entries,
            reference.fix_vm_map,
        ):
            text = reference.fix_text(text, step)
        try:
            metadata = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            self._loaded.skipped["metadata that is not JSON"] += 1
            return {}
        if not isinstance(metadata, dict):
            return {}
        if isinstance(vm_map := metadata.get(MAP), dict):
            # The keys are ids of people: replace the reference's by ours.
            metadata[MAP] = {
                str(self._users[user].pk): branches
                for user, branches in vm_map.items()
                if user in self._users
            }
        return metadata

    def _thread(self, row: Row) -> None:
        """083 and 085 add and drop ``run_locally``, so it is ignored. 086 adds the pins."""
        organization = self._organizations.get(_either(row, "organization_id", "organizationId"))
        owner = self._users.get(_either(row, "created_by", "user_id"))
        agent = self._agents.get(_either(row, "virtual_mcp_id", "agent_id"))
        if organization is None or owner is None or agent is None:
            self._loaded.skipped["thread without owner or agent"] += 1
            return
        kind = row.get("sandbox_provider_kind") or ""
        Thread.objects.update_or_create(
            pk=_ours(row),
            defaults={
                "organization": organization,
                "owner": owner,
                "agent": agent,
                "title": (row.get("title") or "")[:200],
                "sandbox_provider_kind": kind if kind in KINDS else "",
                "harness_id": (row.get("harness_id") or "")[:60],
                "branch": (row.get("branch") or "")[:200],
            },
        )
        self._loaded.imported["thread"] += 1

    def _state(self, row: Row) -> None:
        """084 drops hosts; 085 renames the column."""
        kind = row.get("sandbox_provider_kind") or row.get("runner_kind") or ""
        user = self._users.get(_either(row, "user_id"))
        handle = row.get("handle") or ""
        if kind == reference.HOST_KIND:
            self._loaded.skipped["sandbox of the kind host"] += 1
        elif user is None or kind not in KINDS or not is_handle(handle):
            self._loaded.skipped["sandbox without user, or of an unknown kind"] += 1
        else:
            SandboxRunnerState.objects.update_or_create(
                user=user,
                project_ref=(row.get("project_ref") or "")[:300],
                sandbox_provider_kind=kind,
                defaults={"handle": handle, "started_at": timezone.now()},
            )
            self._loaded.imported["sandbox"] += 1

    def _key(self, row: Row) -> None:
        """088 drops the marks of CLIs. Real keys are encrypted by the other server: a person
        enters them again."""
        if reference.is_cli_sentinel(row.get("provider_id")):
            self._loaded.skipped["mark of an activated CLI"] += 1
        else:
            self._loaded.skipped["provider key (enter it again here)"] += 1


def _ours(row: Row) -> UUID:
    return uuid5(_NAMESPACE, _id(row))


def _id(row: Row) -> str:
    return row.get("id") or ""


def _either(row: Row, *names: str) -> str:
    return next((value for name in names if (value := row.get(name))), "")


def _is_known(user: User) -> bool:
    """Say whether the account is a member anywhere, or was made by this import.

    Addresses are not verified: an account that signed up with someone else's address would
    otherwise get their memberships.
    """
    return user.memberships.exists() or not user.has_usable_password()


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "imported"
    return f"{slug}-org" if slug in RESERVED_SLUGS else slug
