"""Runs the suites that use the database once more, on PostgreSQL.

python -m tests.on_postgres [pytest's words]
"""

from __future__ import annotations

import os
import subprocess
import sys

from cryptography.fernet import Fernet

from tests.servers import postgres

SUITES = [
    "tests/mesh",
    "tests/links",
    "tests/agents",
    "tests/threads",
    "tests/migrations",
    "tests/sandboxes/services/test_lifecycle.py",
    "tests/sandboxes/services/test_records.py",
    "tests/sandboxes/test_api.py",
    "tests/sandboxes/test_admin.py",
]


def main() -> int:
    """Return pytest's exit code."""
    with postgres() as url:
        clustered = {
            "DATABASE_URL": url,
            "MESH_SECRET_KEY": "of the tests only, and long enough for Django to be content",
            "MESH_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "MESH_URL": "http://testserver",
        }
        words = sys.argv[1:] or ["-n", "2", "-m", "not real_cli", *SUITES]
        argv = [sys.executable, "-m", "pytest", *words]
        return subprocess.run(argv, env=os.environ | clustered, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
