"""Lets a sandbox set up and serve its project, for a preview."""

from __future__ import annotations

import logging
from typing import Any

from mesh import database_pool
from sandboxes.providers.base import NotOffered, Place, SandboxProvider
from sandboxes.providers.sandbox_client import refusal
from sandboxes.services.records import note_used

logger = logging.getLogger(__name__)


async def serve_project(provider: SandboxProvider, place: Place) -> None:
    """Start and record the sandbox, and send it the configuration of its project.

    The sandbox then sets the project up. Safe to repeat: the same configuration changes nothing.

    Raises:
        AppError: it can't be started, or was made for another repository.
    """
    await provider.ensure(place)
    await database_pool.writes.run(note_used, place)
    await configure(provider, place)


async def configure(provider: SandboxProvider, place: Place) -> None:
    """Send a running sandbox the configuration of its project.

    Raises:
        AppError: it can't be reached, or refuses (``immutable``: another repository).
    """
    try:
        reply = await provider.request(place, "POST", "config", json=config_of(place))
    except NotOffered:
        return
    if reply.status_code == 404:
        logger.info(
            "sandbox %s: its version has no /config route, continuing without a project setup",
            place.handle,
        )
    elif not reply.is_success:
        raise refusal(reply.status_code, reply.content)


def has_project(place: Place) -> bool:
    """Return whether there is a project to set up; a scratch folder is empty at first."""
    return any((place.repo, place.folder, place.application))


def config_of(place: Place) -> dict[str, Any]:
    """Return the complete configuration of a sandbox's project; it would guess missing parts."""
    config: dict[str, Any] = {"application": place.application or {}}
    if place.repo:
        branch = {"branch": place.branch} if place.branch else {}
        config["git"] = {"repository": {**place.repo, **branch}}
    return config
