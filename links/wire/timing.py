"""When the two ends of a link take each other for gone: one table, which both ends import.

The server pings through the tunnel, and the laptop listens; a laptop that is called at an address
sends heartbeats instead. All else follows from ``PING_EVERY``, with one exception: laptops in the
field have ``SILENT_AFTER`` built in and hang up after 25 s of silence, so the server can't ping
less often than ``PINGS_IN_SILENCE`` times in 25 s before they are updated (``version.py``).
"""

from __future__ import annotations

from typing import Final

PING_EVERY: Final = 10.0  # seconds between two pings of the server
PINGS_MISSED: Final = 2  # without an answer, then the laptop is gone
LAST_WAIT: Final = 4.0  # for the answer to the last of them
# From a laptop's last word until the server says that it is offline.
GRACE: Final = PING_EVERY * PINGS_MISSED + LAST_WAIT

SILENT_AFTER: Final = 25.0  # seconds without a ping after which the laptop connects anew
PINGS_IN_SILENCE: Final = 2  # so that a single ping may be late or lost

BEAT_EVERY: Final = PING_EVERY  # seconds between two heartbeats of a laptop without a tunnel
