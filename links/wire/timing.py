"""When each end of a link considers the other gone: one table, which both ends import.

The server pings through the tunnel, and the laptop listens; a laptop that is called at an address
sends heartbeats instead. All else follows from ``PING_EVERY``, with one exception: laptops in the
field have ``SILENT_AFTER`` built in and disconnect after 25 s of silence, so until they are
updated the server can't ping less often than ``PINGS_IN_SILENCE`` times in 25 s (``version.py``).
"""

from __future__ import annotations

from typing import Final

PING_EVERY: Final = 10.0  # seconds between two pings of the server
PINGS_MISSED: Final = 2  # unanswered pings after which the laptop counts as gone
LAST_WAIT: Final = 4.0  # seconds for the answer to the last of them
# Seconds from a laptop's last frame until the server marks it offline.
GRACE: Final = PING_EVERY * PINGS_MISSED + LAST_WAIT

SILENT_AFTER: Final = 25.0  # seconds without a ping after which the laptop reconnects
PINGS_IN_SILENCE: Final = 2  # so that a single ping may be late or lost

BEAT_EVERY: Final = PING_EVERY  # seconds between two heartbeats of a laptop without a tunnel
