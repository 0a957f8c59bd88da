"""Makes the ``Place`` of a person's sandbox of an agent, for all callers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agents.models import Agent
from links.wire.names import is_key
from sandboxes.core.handle import handle_for
from sandboxes.core.kinds import REMOTE_USER
from sandboxes.core.workload import workload_of
from sandboxes.providers.base import Place, RecordKey


def place_for(
    *, agent: Agent, user_id: int | str, branch: str, kind: str, link_id: UUID | None
) -> Place:
    """Return the place of one person's sandbox of ``agent``, for a branch and a kind.

    Chat, tools, proxy and preview share one sandbox because all of them get its place from this
    function.
    """
    metadata = agent.metadata if isinstance(agent.metadata, dict) else {}
    return Place(
        kind=kind,
        link_id=link_id if kind == REMOTE_USER else None,
        handle=handle_for(
            user_id=user_id, org_id=agent.organization_id, agent_id=agent.pk, branch=branch
        ),
        folder=_text(metadata.get("folder")) if kind == REMOTE_USER else None,
        repo=_repo_of(metadata),
        branch=None if is_key(branch) else branch,
        application=workload_of(metadata).as_config(),
        title=agent.title,
        record_key=RecordKey(
            user_id=int(user_id), org_id=agent.organization_id, agent_id=agent.pk, branch=branch
        ),
    )


def _repo_of(metadata: dict[str, Any]) -> dict[str, str] | None:
    """Return the repository to clone: the agent's source, if it has a URL."""
    source = metadata.get("githubRepo")
    url = _text(source.get("url")) if isinstance(source, dict) else None
    return {"cloneUrl": url} if url else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
