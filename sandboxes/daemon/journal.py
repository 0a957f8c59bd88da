"""The journal of one sandbox: every event of every run, numbered, in SQLite.

An event is stored before any reader sees it. All writing happens on the event loop's OS thread:
handing a row to a worker thread and back costs more than the commit itself, which is one short
write to the WAL (``synchronous=NORMAL``). The slow part, the checkpoint with its fsync, happens
elsewhere (``Checkpoints``).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.lib.errors import AppError
from sandboxes.daemon.frames import Row

CAP = 512 * 1024 * 1024
KEEP_ACKED = 3600.0  # a server that lost its last commits returns with an older cursor
KEEP_UNCLAIMED = 7 * 24 * 3600.0  # a server that has not asked for a week won't return
TOMBSTONE = 60.0
ROW_OVERHEAD = 24  # bytes that SQLite itself spends on a row, roughly
BUSY = 5000  # milliseconds that a statement waits for another program's lock
HOLD = 250  # milliseconds that a checkpoint waits for one, on the event loop
PAGE_ROWS = 1000
PRUNE_ROWS = 2000  # dropped in one batch: it happens on the event loop
PAGE_BYTES = 1024 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
    -- AUTOINCREMENT: a key is not reused, because events of its old run may still exist.
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    fence INTEGER NOT NULL,
    thread_id TEXT NOT NULL,
    harness TEXT NOT NULL,
    created_at REAL NOT NULL,
    done_n INTEGER,
    acked_n INTEGER NOT NULL DEFAULT 0,
    done_acked_at REAL,
    done_at REAL,
    unasked TEXT,  -- why the program began it by itself
    UNIQUE (run_id, fence)
);
-- id = run.key * 2^32 + n: one number keeps a run's events together and in order.
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tombstone (run_id TEXT PRIMARY KEY, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS process (pid INTEGER PRIMARY KEY, started TEXT NOT NULL);
"""

_SELECT_RUNS = """
SELECT key, run_id, fence,
    COALESCE((
        SELECT MAX(id) & 4294967295 FROM event
        WHERE id BETWEEN run.key << 32 AND (run.key << 32) + 4294967295
    ), 0),
    COALESCE(done_n, 0), thread_id, harness, unasked
FROM run """


class JournalFull(AppError):
    """The journal has reached its size limit, and nothing in it may be dropped yet."""

    code = "journal_full"
    text = "The sandbox's journal is full."
    hint = "Wait until the server has caught up, or free disk space on this machine."
    status = 507


@dataclass(frozen=True, slots=True)
class RunRow:
    """One attempt of a run as the journal has it; ``done_n`` is 0 until it has ended.

    ``unasked`` is why the program began it by itself; ``None``: the server dispatched it.
    """

    key: int
    run_id: str
    fence: int
    last_n: int
    done_n: int
    thread_id: str = ""
    harness: str = ""
    unasked: str | None = None

    @property
    def is_done(self) -> bool:
        return self.done_n > 0


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A program that the sandbox started: pid (also its group's) and start time."""

    pid: int
    started: str


class Journal:
    """One connection to one journal file. Not safe for use from several OS threads."""

    def __init__(self, path: Path, *, cap: int = CAP, run_cap: int = CAP) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._cap, self._run_cap = cap, run_cap
        self._db = sqlite3.connect(path, timeout=BUSY / 1000, isolation_level=None)
        path.chmod(0o600)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA cache_size=-1024")
        # A checkpoint here would fsync on the event loop; see Checkpoints.
        self._db.execute("PRAGMA wal_autocheckpoint=0")
        self._db.executescript(_SCHEMA)
        _add_missing(self._db, "run", "done_at", "REAL")
        _add_missing(self._db, "run", "unasked", "TEXT")
        # Summed over the rows once; from here on it is kept up to date.
        self._bytes: dict[int, int] = dict(
            self._db.execute(
                "SELECT id >> 32, SUM(LENGTH(body)) + COUNT(*) * ? FROM event GROUP BY id >> 32",
                (ROW_OVERHEAD,),
            )
        )
        self._total = sum(self._bytes.values())
        # Pruned runs whose events are still to be deleted.
        self._dropping = list(self._bytes.keys() - {run.key for run in self.list_runs()})

    def close(self) -> None:
        self._db.close()

    # Runs

    def open_run(
        self, run_id: str, fence: int, *, thread_id: str, harness: str, unasked: str | None = None
    ) -> RunRow:
        """Return the row of a run's attempt, which is added unless it exists."""
        self._db.execute(
            "INSERT OR IGNORE INTO run (run_id, fence, thread_id, harness, created_at, unasked)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (run_id, fence, thread_id, harness, time.time(), unasked),
        )
        return self.get_run(run_id, fence)

    def get_run(self, run_id: str, fence: int) -> RunRow:
        """Return the row of an attempt that must exist."""
        found = self.find_run(run_id, fence)
        assert found is not None
        return found

    def find_run(self, run_id: str, fence: int | None = None) -> RunRow | None:
        """Return the attempt ``fence`` of a run, or without ``fence`` its newest attempt."""
        rows = self._runs(
            "WHERE run_id = ? AND (? IS NULL OR fence = ?) ORDER BY fence DESC LIMIT 1",
            (run_id, fence, fence),
        )
        return rows[0] if rows else None

    def list_runs(self) -> list[RunRow]:
        """Return all attempts, the oldest first."""
        return self._runs("ORDER BY key")

    def list_unclaimed(self) -> list[RunRow]:
        """Return the runs that programs began by themselves and whose end the server has not
        acknowledged, the oldest first."""
        return self._runs("WHERE unasked IS NOT NULL AND done_acked_at IS NULL ORDER BY key")

    def _runs(self, where: str, values: Sequence[object] = ()) -> list[RunRow]:
        return [RunRow(*row) for row in self._db.execute(_SELECT_RUNS + where, values)]

    def finish_run(self, key: int, *, done_n: int) -> None:
        """Record that the event ``done_n`` is the run's last."""
        self._db.execute(
            "UPDATE run SET done_n = ?, done_at = ? WHERE key = ?", (done_n, time.time(), key)
        )

    def disclaim(self, run_id: str) -> None:
        """Let nobody take the run, which its program began by itself: there is nothing in it."""
        self._db.execute("UPDATE run SET unasked = NULL WHERE run_id = ?", (run_id,))

    # Events

    def append(self, rows: Sequence[Row], *, force: bool = False) -> None:
        """Store the rows of any runs in one commit; an existing row stays as it is.

        ``force`` ignores the size limits, for the few events that say how a run ended.

        Raises:
            JournalFull: a run or the whole journal is at its limit; none of ``rows`` is stored.
        """
        added: dict[int, int] = {}
        for row in rows:
            added[row.key] = added.get(row.key, 0) + len(row.body) + ROW_OVERHEAD
        if not force:
            self._make_room(added)
        values = [(row.key << 32 | row.n, row.body) for row in rows]
        sql = "INSERT OR IGNORE INTO event (id, body) VALUES (?, ?)"
        if len(values) == 1:
            self._db.execute(sql, values[0])  # autocommits, without two more statements
        else:
            with _transaction(self._db):
                self._db.executemany(sql, values)
        for key, size in added.items():
            self._bytes[key] = self._bytes.get(key, 0) + size
            self._total += size

    def _make_room(self, added: dict[int, int]) -> None:
        if any(self._bytes.get(key, 0) + size > self._run_cap for key, size in added.items()):
            raise JournalFull("The run has filled its share of the sandbox's journal.")
        needed = sum(added.values())
        if self._total + needed > self._cap:
            while self._total + needed > self._cap and self.prune(now=time.time(), keep=0):
                pass
        if self._total + needed > self._cap:
            raise JournalFull

    def read(self, key: int, *, after: int) -> list[tuple[int, bytes]]:
        """Return one page of a run's events after number ``after``; empty at the end."""
        page: list[tuple[int, bytes]] = []
        size = 0
        for event_id, body in self._db.execute(
            "SELECT id, body FROM event WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (key << 32 | after, (key << 32) + 0xFFFFFFFF, PAGE_ROWS),
        ):
            page.append((event_id & 0xFFFFFFFF, body))
            size += len(body)
            if size > PAGE_BYTES:
                break
        return page

    # What the server has acknowledged

    def ack(self, run_id: str, fence: int, n: int) -> None:
        """Record that the server has stored the events up to ``n``; a lower ``n`` is ignored."""
        self._db.execute(
            "UPDATE run SET acked_n = ?1, done_acked_at = CASE"
            " WHEN done_n IS NOT NULL AND ?1 >= done_n THEN COALESCE(done_acked_at, ?2) END"
            " WHERE run_id = ?3 AND fence = ?4 AND acked_n <= ?1",
            (n, time.time(), run_id, fence),
        )

    def prune(self, *, now: float, keep: float = KEEP_ACKED) -> bool:
        """Forget the runs whose ``done`` was acknowledged ``keep`` seconds ago, or not in a week.

        Deletes a limited number of their events; returns whether there may be more to delete.
        """
        self._db.execute("DELETE FROM tombstone WHERE until <= ?", (now,))
        # The runs first and together, so that no reader sees one that is half deleted.
        forgotten = self._db.execute(
            "DELETE FROM run WHERE done_acked_at <= ?"
            " OR (done_n IS NOT NULL AND COALESCE(done_at, created_at) <= ?) RETURNING key",
            (now - keep, now - KEEP_UNCLAIMED),
        )
        self._dropping += [key for (key,) in forgotten.fetchall()]
        if not self._dropping:
            return False
        self._drop_some(self._dropping[-1])
        return True

    def _drop_some(self, key: int) -> None:
        deleted = self._db.execute(
            "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id BETWEEN ? AND ? LIMIT ?)"
            " RETURNING LENGTH(body)",
            (key << 32, (key << 32) + 0xFFFFFFFF, PRUNE_ROWS),
        )
        sizes = [size + ROW_OVERHEAD for (size,) in deleted.fetchall()]
        self._total -= sum(sizes)
        self._bytes[key] = self._bytes.get(key, 0) - sum(sizes)
        if len(sizes) < PRUNE_ROWS:
            self._dropping.remove(key)
            self._bytes.pop(key, None)

    def checkpoint(self) -> None:
        """Move the WAL into the database file, synchronously, and truncate it.

        Waits for the disk, and at most ``HOLD`` for readers of other programs; if one takes
        longer, the WAL stays.
        """
        self._db.execute(f"PRAGMA busy_timeout={HOLD}")
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._db.execute(f"PRAGMA busy_timeout={BUSY}")

    # Tombstones: runs that must not start (any more)

    def bury(self, run_id: str, *, now: float) -> None:
        """Refuse the run for the next minute."""
        self._db.execute(
            "INSERT OR REPLACE INTO tombstone (run_id, until) VALUES (?, ?)",
            (run_id, now + TOMBSTONE),
        )

    def is_buried(self, run_id: str, *, now: float) -> bool:
        """Return whether the run was cancelled less than a minute ago."""
        found = self._db.execute(
            "SELECT 1 FROM tombstone WHERE run_id = ? AND until > ?", (run_id, now)
        )
        return found.fetchone() is not None

    # Programs, so that the next sandbox process can end those that this one left running

    def add_process(self, pid: int, started: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO process VALUES (?, ?)", (pid, started))

    def remove_process(self, pid: int) -> None:
        self._db.execute("DELETE FROM process WHERE pid = ?", (pid,))

    def list_processes(self) -> list[ProcessRow]:
        return [ProcessRow(*row) for row in self._db.execute("SELECT pid, started FROM process")]


def _add_missing(db: sqlite3.Connection, table: str, column: str, kind: str) -> None:
    """Add a column that a journal written by an older version lacks."""
    known = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
    if column not in known:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


class _transaction:
    """Commit at the end of the block, or roll back."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
