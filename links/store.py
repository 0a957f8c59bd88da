"""The threads in which the gateway's and the upkeep's database work is done."""

from typing import Final

from django.conf import settings

from mesh.db_threads import DatabaseThreads

# SQLite has one writer at a time: a second thread would only wait for it, and clumsily.
_threads: Final = DatabaseThreads("links-db", 1 if settings.MESH_EMBEDDED else 4)

run = _threads.run
close = _threads.close
