"""Making agents."""

from __future__ import annotations

from agents.models import Agent
from mesh.models import Organization

DEFAULT_SLUG = "default"
DEFAULT_TITLE = "Mesh"


def make_default_agent(*, organization: Organization) -> Agent:
    """Return the agent that answers when none is named; make it if missing.

    Safe to repeat: what the organization has made of it stays.
    """
    agent, _ = Agent.objects.get_or_create(
        organization=organization, slug=DEFAULT_SLUG, defaults={"title": DEFAULT_TITLE}
    )
    return agent


def set_folder(*, agent: Agent, folder: str) -> None:
    """Have the agent's new threads work in ``folder`` of the machine; empty: in a scratch folder.

    Safe to repeat. The machine's own person must have allowed the folder (``--allow``).
    """
    metadata = {**agent.metadata, "folder": folder}
    if not folder:
        del metadata["folder"]
    if metadata != agent.metadata:
        agent.metadata = metadata
        agent.save(update_fields=["metadata"])
