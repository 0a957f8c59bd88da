"""What does not go into the log: a traceback for a request that was merely refused."""

from __future__ import annotations

import logging


class OneLine(logging.Filter):
    """Makes one warning of a refused request; a failure of ours keeps its traceback.

    Django logs a traceback for each form of odd shape and each unknown host, so that any
    stranger could bury what matters in the log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
