"""Recording which sandbox a run or its tools work in."""

from __future__ import annotations

import logging

from mesh import database_pool
from mesh.database_errors import AnyDatabaseError
from sandboxes.providers.base import Place
from sandboxes.services import note_used

logger = logging.getLogger(__name__)


async def note_sandbox(place: Place) -> None:
    """Record the sandbox at ``place``, which answers.

    A failure does not stop the run: the next use of the sandbox records it again.
    """
    try:
        await database_pool.writes.run(note_used, place)
    except AnyDatabaseError:
        logger.warning(
            "sandbox %s: the database did not record its use; the next use will be recorded",
            place.handle,
            exc_info=True,
        )
