"""Having it recorded which sandbox a run or its tools work in."""

from __future__ import annotations

import logging

from mesh import database_pool
from mesh.database_errors import AnyDatabaseError
from sandboxes.providers.base import Place
from sandboxes.services import note_used

logger = logging.getLogger(__name__)


async def note_sandbox(place: Place) -> None:
    """Record the sandbox at ``place``, which answers.

    A run goes on where this fails: the next use of the sandbox says it again.
    """
    try:
        await database_pool.writes.run(note_used, place)
    except AnyDatabaseError:
        logger.warning("sandbox %s: its use was not recorded", place.handle, exc_info=True)
