"""The threads in which the event loop's database work is done.

Every reader of a stream waiting in a thread of its own, as ``sync_to_async`` would have it,
would hold one connection each; here a thousand readers share two.
"""

from typing import Final

from mesh.db_threads import DatabaseThreads

_threads: Final = DatabaseThreads("threads-db", 2)

run = _threads.run
close = _threads.close
