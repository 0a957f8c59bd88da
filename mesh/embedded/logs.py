"""Logging of an embedded Mesh: everything to a file, errors in one line to the terminal."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from mesh import log_filters

FILE_BYTES, FILES = 5_000_000, 3
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """Says what failed and which file has the details, instead of printing a traceback."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.capitalize()}: {record.getMessage()} (more in {self._path})"


def write_to(path: Path, *, logger: logging.Logger | None = None) -> None:
    """Log everything to ``path``, rotated, and errors to the terminal, too."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8")
    file.setFormatter(logging.Formatter(LINE))
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.ERROR)
    terminal.setFormatter(OneLine(path))
    for handler in (file, terminal):
        handler.addFilter(log_filters.OneLine())
    (logger or logging.getLogger()).handlers[:] = [file, terminal]
