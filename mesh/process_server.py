"""uvicorn's server of a whole process, which ends soon after it is told to, whatever hangs.

uvicorn waits for requests and for the application without limit, and Python for its OS threads: a
statement that a hanging database never answers would keep the process forever. Nothing is lost by
ending it hard, as after ``kill -9``: what was committed is there, and readers come back.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from types import FrameType
from typing import Final

import uvicorn

from mesh.http_protocol import GuardedHttp
from mesh.lib.patience import Patience

logger = logging.getLogger(__name__)

END_WITHIN: Final = 9.0  # seconds; ``docker stop`` kills after ten
LOOK_EVERY: Final = 0.1  # seconds


class ProcessServer(uvicorn.Server):
    """Ends its process at the latest ``end_within`` seconds after the first signal."""

    end_within = END_WITHIN
    _deadline: threading.Thread | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving. Readers of events come back, to another server or to the next process."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, GuardedHttp):
                connection.end_stream()
        await super().shutdown(sockets=sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.end_in_time()
        super().handle_exit(sig, frame)

    def end_in_time(self) -> None:
        """End the process in ``end_within`` seconds from the first call, if it still runs."""
        if self._deadline is None:
            # An OS thread: the event loop may be what hangs.
            self._deadline = threading.Thread(target=self._end_when_over, daemon=True)
            self._deadline.start()

    def _end_when_over(self) -> None:
        # A process that was frozen itself gets the time that it missed.
        patience = Patience(self.end_within)
        while not patience.is_over:
            time.sleep(LOOK_EVERY)
        logger.error(
            "server: still waiting %.0f s after the signal to stop; ending the process now",
            self.end_within,
        )
        os._exit(1)
