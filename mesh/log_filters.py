"""Keeps tracebacks of requests that were merely refused out of the log."""

from __future__ import annotations

import logging


class OneLine(logging.Filter):
    """Turns the record of a refused request into a one-line warning; our bugs keep the traceback.

    Django logs a traceback for each malformed form and each unknown host, so any stranger could
    bury important lines of the log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
