"""The real sandbox program, to which the tests' harnesses are added."""

import os
import sqlite3
import sys
from pathlib import Path

from agents import harness
from sandboxes.daemon import background_service, programs, service
from sandboxes.daemon.cli import main
from tests.sandboxes.daemon import harnesses

harness.OWN.update(harnesses.ADAPTERS)
programs.PROGRAMS["test-child"] = harnesses.find_child
background_service.TASK_GRACE = 0.2
service.CHECK_EVERY = float(os.environ.get("TEST_CHECK_EVERY", service.CHECK_EVERY))
if "TEST_UNSEEN_AFTER" in os.environ:
    from sandboxes.daemon.preview import probe

    probe.UNSEEN_AFTER = float(os.environ["TEST_UNSEEN_AFTER"])


class DiskThatFills(sqlite3.Connection):
    """A database whose disk is full as long as there is a file called TEST_FULL_DISK."""

    def execute(self, sql, *values):
        self._write(sql)
        return super().execute(sql, *values)

    def executemany(self, sql, values):
        self._write(sql)
        return super().executemany(sql, values)

    def _write(self, sql):
        is_write = sql.split()[0] in ("INSERT", "UPDATE", "DELETE")
        if is_write and Path(os.environ["TEST_FULL_DISK"]).exists():
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full


if "TEST_FULL_DISK" in os.environ:
    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **how: connect(*given, factory=DiskThatFills, **how)
sys.exit(main())
