"""Services that create, change and remove agents."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents.catalog import load_runnable
from agents.core.mcp import SERVERS_LIMIT, SILENT_FOR, BadMcpServer, McpServer
from agents.core.options import parse_choice
from agents.core.source import Source
from agents.errors import AgentIsDefault, BadChoice, BadIcon, BadTitle
from agents.models import Agent, McpServerRow
from agents.repositories import allowed_repository
from mesh.keys import seal
from mesh.models import Organization

DEFAULT_SLUG: Final = "default"
DEFAULT_TITLE: Final = "Mesh"
# Symbols of templates/_partials/icons.html that can stand for an agent.
ICONS: Final = (
    *("bot", "sparkles", "globe", "terminal", "wrench", "brain", "atom", "zap", "search"),
    *("file-text", "file-pen", "list-todo", "message-circle", "git-branch", "laptop", "cloud"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFields:
    """The fields of an agent that a person sets; ``None`` leaves a field unchanged."""

    title: str | None = None
    icon: str | None = None
    instructions: str | None = None
    default_choice: str | None = None
    source: Source | None = None


def make_default_agent(*, organization: Organization) -> Agent:
    """Return the organization's default agent; create it if missing.

    Safe to repeat: the organization's changes to it stay.
    """
    agent, _ = Agent.objects.get_or_create(
        organization=organization, slug=DEFAULT_SLUG, defaults={"title": DEFAULT_TITLE}
    )
    return agent


def create_agent(*, organization: Organization, given: AgentFields) -> Agent:
    """Return a new agent; its slug is derived from its title.

    Raises:
        BadTitle, BadIcon, BadChoice: nothing is kept.
    """
    values = _checked(given)
    if "title" not in values:
        raise BadTitle
    with transaction.atomic():
        # Two requests with the same title: the second waits here, and gets the next slug.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        return Agent.objects.create(
            organization=organization,
            slug=_free_slug(organization, values["title"]),
            metadata=_metadata_of(given.source) if given.source else {},
            **values,
        )


def import_agent(
    *, organization: Organization, repository: str, given: AgentFields | None = None
) -> Agent:
    """Return a new agent that works on the repository at that address, named after it.

    Nothing is fetched: each person's machine clones it, with that person's own sign-in.

    Raises:
        BadRepository: git can't clone from the address, or it contains a secret.
        RepositoryRefused: its host is private, and not allowed by the operator.
    """
    source = allowed_repository(repository)
    given = given or AgentFields()
    filled = replace(
        given,
        title=given.title or source.name,
        icon=given.icon or "git-branch",
        source=Source("repository", url=source.url),
    )
    return create_agent(organization=organization, given=filled)


def change_agent(*, agent: Agent, given: AgentFields) -> Agent:
    """Change the given fields; new threads use them immediately, others from their next message.

    Raises:
        BadTitle, BadIcon, BadChoice: nothing is kept.
    """
    values = _checked(given)
    with transaction.atomic():
        for name, value in values.items():
            setattr(agent, name, value)
        if values:
            agent.save(update_fields=list(values))
        if given.source is not None:
            changed = dict.fromkeys(("githubRepo", "folder", "folderLink", "files"))
            set_metadata(agent=agent, values={**changed, **_metadata_of(given.source)})
    return agent


def remove_agent(*, agent: Agent) -> None:
    """Hide the agent from new chats; its threads continue. Safe to repeat; can be undone.

    Raises:
        AgentIsDefault: the organization needs its default agent.
    """
    if agent.slug == DEFAULT_SLUG:
        raise AgentIsDefault
    Agent.objects.filter(pk=agent.pk, removed_at=None).update(removed_at=timezone.now())


def restore_agent(*, agent: Agent) -> None:
    """Undo ``remove_agent``. Safe to repeat."""
    Agent.objects.filter(pk=agent.pk).update(removed_at=None)


def put_mcp_server(*, agent: Agent, server: McpServer, keep_headers: bool = False) -> McpServerRow:
    """Add an MCP server to the agent, or replace its server of that name; return the row.

    With ``keep_headers`` the stored headers stay, unless the address has another host: a token is
    never sent to a host it was not meant for.

    Raises:
        BadMcpServer: the agent has too many servers, or the headers must be given again.
    """
    with transaction.atomic():
        Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        existing = McpServerRow.objects.filter(agent=agent, name=server.name).first()
        if existing is None and agent.mcp_servers.count() >= SERVERS_LIMIT:
            raise BadMcpServer(f"An agent can have at most {SERVERS_LIMIT} MCP servers.")
        values: dict[str, Any] = {"url": server.url, "silent_until": None}
        if keep_headers and existing is not None and existing.sealed_headers:
            if _origin(existing.url) != _origin(server.url):
                raise BadMcpServer("The address has changed: give the server's headers again.")
        else:
            values["header_names"] = list(server.headers)
            values["sealed_headers"] = seal(json.dumps(server.headers)) if server.headers else ""
        row, _ = McpServerRow.objects.update_or_create(
            agent=agent, name=server.name, defaults=values
        )
    return row


def remove_mcp_server(*, agent: Agent, name: str) -> None:
    """Remove an MCP server from the agent, and delete its headers. Safe to repeat."""
    McpServerRow.objects.filter(agent=agent, name=name).delete()


def note_silent_server(*, agent_id: UUID, name: str, url: str) -> None:
    """Record that a server does not answer: it is not asked for ``SILENT_FOR``.

    Nothing changes if it has another address by now. Safe to repeat.
    """
    silent_until = timezone.now() + SILENT_FOR
    found = McpServerRow.objects.filter(agent=agent_id, name=name, url=url)
    found.update(silent_until=silent_until)


def ask_server_again(*, agent: Agent, name: str) -> None:
    """Let the next message ask a server that did not answer. Safe to repeat."""
    McpServerRow.objects.filter(agent=agent, name=name).update(silent_until=None)


def set_folder(*, agent: Agent, folder: str) -> None:
    """Make the agent's new threads work in ``folder`` on the machine; empty: in a scratch folder.

    Safe to repeat. The machine's owner must have allowed the folder (``--allow``).
    """
    set_metadata(agent=agent, values={"folder": folder or None})


def set_metadata(*, agent: Agent, values: Mapping[str, Any]) -> None:
    """Set the given keys of the agent's metadata, and no others; ``None`` removes a key.

    Other code writes other keys concurrently, so the row is read again under a lock.
    """
    with transaction.atomic():
        row = Agent.objects.select_for_update(no_key=True).only("metadata").get(pk=agent.pk)
        changed = {**row.metadata, **values}
        changed = {
            key: value for key, value in changed.items() if value is not None or key not in values
        }
        if changed != row.metadata:
            row.metadata = changed
            row.save(update_fields=["metadata"])
    agent.metadata = changed


def _metadata_of(source: Source) -> dict[str, Any]:
    if source.kind == "repository":
        return {"githubRepo": allowed_repository(source.url).as_metadata()}
    if source.kind == "folder":
        link = {"folderLink": source.link_id} if source.link_id else {}
        return {"folder": source.folder, **link}
    return {"files": "none"} if source.kind == "none" else {}


def _checked(given: AgentFields) -> dict[str, Any]:
    """Return the given columns, in their stored form."""
    columns = [one.name for one in fields(given) if one.name != "source"]
    values = {name: getattr(given, name) for name in columns}
    values = {name: value.strip() for name, value in values.items() if value is not None}
    title = values.get("title")
    if title is not None and (not title or len(title) > 120 or not title.isprintable()):
        raise BadTitle
    if values.get("icon") and values["icon"] not in ICONS:
        raise BadIcon
    if choice := values.get("default_choice"):
        kind, tier = parse_choice(choice)
        entry = load_runnable().find(kind)
        if entry is None or tier not in {each.key for each in entry.tiers}:
            raise BadChoice
    return values


def _free_slug(organization: Organization, title: str) -> str:
    """Return a slug that no agent of the organization has, not even a removed one."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-") or "agent"
    taken = set(
        Agent.objects.filter(organization=organization, slug__startswith=slug).values_list(
            "slug", flat=True
        )
    )
    if slug not in taken:
        return slug
    return next(free for n in range(2, len(taken) + 3) if (free := f"{slug}-{n}") not in taken)


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3]).lower()
