"""What waits for one pool never delays another; connections stay open and are counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from mesh import database_pool
from mesh.database_pool import POOLS, POSTGRESQL
from mesh.settings import _database
from tests.stuck import stuck

ROOT = Path(__file__).resolve().parents[2]
APPS = ("mesh", "links", "agents", "sandboxes", "threads")
HEARTBEATS = {"renew_leases", "release_leases", "keep_online", "hold_background"}
# What ends runs folds their answers; an order has its attached files in it, encoded.
HEAVY = {
    "end_overdue_stops",
    "finish_run",
    "fold_ahead",
    "restart_run",
    "review_background",
    "stop_revoked_runs",
    "find_order",
    "load_context",
    "_read",  # of an attached file
    "purge_deleted",
    "hand_over_threads",
    "free_pages",
}


@pytest.fixture
def closing():
    yield
    database_pool.close()


def connected():
    """Connect, and return the connection below Django's."""
    connection.ensure_connection()
    return connection.connection


@pytest.mark.parametrize("name", POOLS)
async def test_a_pool_works_while_all_others_are_stuck(name, closing):
    others = [pool for pool in POOLS.values() if pool.name != name]

    async with stuck(*others):
        assert await POOLS[name].run(str.upper, "done") == "DONE"


@pytest.mark.django_db(transaction=True)
async def test_a_connection_stays_open(closing):
    first = await database_pool.heartbeats.run(connected)

    assert await database_pool.heartbeats.run(connected) is first


@pytest.mark.django_db(transaction=True)
async def test_after_an_error_of_the_database_there_is_a_new_connection(closing):
    first = await database_pool.heartbeats.run(connected)

    def fail():
        raise OperationalError("the server closed the connection")

    with pytest.raises(OperationalError):
        await database_pool.heartbeats.run(fail)

    assert await database_pool.heartbeats.run(connected) is not first


async def test_a_closed_pool_can_be_used_again(closing):
    await database_pool.reads.run(str)
    database_pool.close()

    assert await database_pool.reads.run(str.upper, "done") == "DONE"


def test_the_connections_of_a_process_are_known():
    options = _database("postgres://mesh@localhost/mesh")["OPTIONS"]
    journal, requests = 1, 12

    assert options["pool"]["max_size"] == sum(POSTGRESQL.values()) + journal + requests


def calls():
    """Yield (pool, function) for each piece of work that the source hands to a pool."""
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            text = path.read_text()
            for found in re.finditer(r"database_pool\.(\w+)\.run\(\s*([\w.]+)", text):
                yield found[1], found[2].rpartition(".")[2]


def test_each_kind_of_work_goes_to_its_pool():
    found = set(calls())

    assert {name for pool, name in found if pool == "heartbeats"} == HEARTBEATS
    assert {name for pool, name in found if pool == "heavy"} - {"work"} == HEAVY
    assert {pool for pool, name in found if name in HEARTBEATS} == {"heartbeats"}
    assert {pool for pool, name in found if name in HEAVY} == {"heavy"}


def test_no_database_work_goes_another_way():
    """``database_sync_to_async`` would open a connection for each call."""
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            assert "sync_to_async(" not in path.read_text().replace("async_to_sync(", ""), path
