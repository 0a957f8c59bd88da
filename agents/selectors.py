"""Reading agents; who asks has an organization from ``mesh.selectors.get_membership``."""

from __future__ import annotations

from uuid import UUID

from agents.models import Agent
from mesh.models import Organization
from mesh.selectors import NotFound


def get_agent(*, organization: Organization, name: str) -> Agent:
    """Return the organization's agent whose id or slug is ``name``.

    Raises:
        NotFound: it has no such agent; another organization's looks the same.
    """
    agents = Agent.objects.filter(organization=organization)
    try:
        found = agents.filter(pk=UUID(name)).first()
    except ValueError:
        found = agents.filter(slug=name).first()
    if found is None:
        raise NotFound("There is no such agent.")
    return found
