"""Having a sandbox's project set up and served: what a preview needs."""

from __future__ import annotations

import logging
from typing import Any

from mesh import database_pool
from sandboxes.providers.base import NotOffered, Place, SandboxProvider
from sandboxes.providers.sandbox_client import refusal
from sandboxes.services.records import note_used

logger = logging.getLogger(__name__)


async def serve_project(provider: SandboxProvider, place: Place) -> None:
    """Have the sandbox started, recorded, and told of its project, which it then sets up by itself.

    Safe to repeat: told the same again, a sandbox changes nothing.

    Raises:
        AppError: it can't be started, or was made for another repository.
    """
    await provider.ensure(place)
    await database_pool.writes.run(note_used, place)
    await configure(provider, place)


async def configure(provider: SandboxProvider, place: Place) -> None:
    """Tell a sandbox that runs of its project.

    Raises:
        AppError: it can't be reached, or refuses (``immutable``: another repository).
    """
    try:
        reply = await provider.request(place, "POST", "config", json=config_of(place))
    except NotOffered:
        return
    if reply.status_code == 404:
        logger.info("Sandbox %s is of a version without setup.", place.handle)
    elif not reply.is_success:
        raise refusal(reply.status_code, reply.content)


def has_project(place: Place) -> bool:
    """Say whether something is known that could be set up; a scratch folder is empty at first."""
    return any((place.repo, place.folder, place.application))


def config_of(place: Place) -> dict[str, Any]:
    """Return what a sandbox is told of its project, whole: what is left out would be guessed."""
    config: dict[str, Any] = {"application": place.application or {}}
    if place.repo:
        branch = {"branch": place.branch} if place.branch else {}
        config["git"] = {"repository": {**place.repo, **branch}}
    return config
