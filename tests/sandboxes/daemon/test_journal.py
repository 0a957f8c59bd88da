"""The journal's promises: order, fences, repeats, limits, acknowledgements."""

from __future__ import annotations

import sqlite3
import time

import pytest

from sandboxes.daemon.journal import (
    KEEP_ACKED,
    KEEP_UNCLAIMED,
    TOMBSTONE,
    Journal,
    JournalFull,
    Row,
)

HOUR_LATER = 10**10


def prune_all(journal, now):
    """Prune until there is nothing more to prune; return how many bites it took."""
    bites = 0
    while journal.prune(now=now):
        bites += 1
    return bites


@pytest.fixture
def open_journal(tmp_path):
    """Return ``open_journal(**limits)``; the same file each time."""
    opened = []

    def open_it(**limits):
        opened.append(Journal(tmp_path / "deep" / "er" / "journal.db", **limits))
        return opened[-1]

    yield open_it
    for journal in opened:
        journal.close()


@pytest.fixture
def journal(open_journal):
    return open_journal()


def add(journal, run_id="r1", fence=1, *, count=3, size=1, start=1):
    key = journal.open_run(run_id, fence, thread_id="t", harness="plain").key
    journal.append([Row(key, n, b"%d" % (n % 10) * size) for n in range(start, start + count)])
    return key


def finish(journal, key, n):
    journal.finish_run(key, done_n=n)


def numbers(journal, key, after=0):
    return [n for n, _ in journal.read(key, after=after)]


def test_events_come_back_in_order(journal):  # D-OB1
    key = add(journal, count=5)

    assert journal.read(key, after=0) == [(n, b"%d" % n) for n in range(1, 6)]


def test_and_from_any_number_on(journal):  # D-OB2
    assert numbers(journal, add(journal, count=5), after=3) == [4, 5]


def test_attempts_are_apart(journal):  # D-OB3
    first, second = add(journal, fence=1, count=2), add(journal, fence=2, count=3)

    assert (numbers(journal, first), numbers(journal, second)) == ([1, 2], [1, 2, 3])
    assert journal.find_run("r1").fence == 2
    assert journal.find_run("r1", 1).last_n == 2


def test_a_repeat_changes_nothing(journal):  # D-OB4
    key = add(journal)
    journal.append([Row(key, 2, b"other")])

    assert journal.read(key, after=1)[0] == (2, b"2")


def test_it_is_written_ahead(journal):  # D-OB5
    db = sqlite3.connect(journal.path)

    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    "limits",
    [pytest.param({"cap": 500}, id="of all"), pytest.param({"run_cap": 500}, id="of a run")],
)
def test_over_the_limit_nothing_is_kept(open_journal, limits):  # D-OB6
    journal = open_journal(**limits)
    key = add(journal, count=1, size=300)

    with pytest.raises(JournalFull):
        journal.append([Row(key, 2, b"x" * 100), Row(key, 3, b"x" * 200)])

    assert numbers(journal, key) == [1]


def test_the_last_words_fit_in_any_case(open_journal):
    journal = open_journal(cap=100)
    key = journal.open_run("r1", 1, thread_id="t", harness="plain").key
    journal.append([Row(key, 1, b"x" * 200)], force=True)

    assert numbers(journal, key) == [1]


def test_the_limit_is_known_after_a_restart(open_journal):
    add(open_journal(cap=500), count=1, size=400)

    with pytest.raises(JournalFull):
        add(open_journal(cap=500), "r2", count=1, size=100)


def test_what_is_acknowledged_makes_room_before_its_hour(open_journal):  # D-OB7
    journal = open_journal(cap=500)
    old = add(journal, "old", count=1, size=300)
    finish(journal, old, 1)
    journal.ack("old", 1, 1)

    new = add(journal, "new", count=1, size=300)

    assert (numbers(journal, old), numbers(journal, new)) == ([], [1])
    assert journal.find_run("old") is None


def test_what_is_not_acknowledged_makes_no_room(open_journal):
    journal = open_journal(cap=500)
    finish(journal, add(journal, "old", count=1, size=300), 1)

    with pytest.raises(JournalFull):
        add(journal, "new", count=1, size=300)


@pytest.mark.parametrize(
    ("acked", "age", "left"),
    [
        pytest.param(3, KEEP_ACKED + 1, 0, id="all acknowledged, an hour ago"),
        pytest.param(3, KEEP_ACKED - 60, 3, id="all acknowledged, just now"),
        pytest.param(2, KEEP_ACKED + 1, 3, id="done not acknowledged"),
    ],
)
def test_pruning(journal, acked, age, left):  # D-OB8
    key = add(journal)
    finish(journal, key, 3)
    other = add(journal, "other")
    journal.ack("r1", 1, acked)

    prune_all(journal, time.time() + age)

    assert len(journal.read(key, after=0)) == left
    assert numbers(journal, other) == [1, 2, 3]


def test_an_acknowledgement_never_goes_back(journal):
    key = add(journal)
    finish(journal, key, 3)
    journal.ack("r1", 1, 3)
    journal.ack("r1", 1, 1)

    assert prune_all(journal, HOUR_LATER)


def test_an_older_attempt_s_acknowledgement_is_not_the_newer_one_s(journal):
    finish(journal, add(journal, fence=2), 3)
    journal.ack("r1", 1, 3)

    assert not prune_all(journal, time.time() + KEEP_ACKED)


@pytest.mark.parametrize(
    ("is_done", "is_kept"),
    [pytest.param(True, False, id="done"), pytest.param(False, True, id="not done")],
)
def test_what_nobody_fetches_in_a_week(journal, is_done, is_kept):
    key = add(journal)
    if is_done:
        finish(journal, key, 3)

    prune_all(journal, time.time() + KEEP_UNCLAIMED)

    assert bool(numbers(journal, key)) is is_kept


def test_a_long_run_has_its_week_from_its_end(journal, monkeypatch):
    key = add(journal)  # begun now
    later = time.time() + KEEP_UNCLAIMED
    monkeypatch.setattr("time.time", lambda: later)
    finish(journal, key, 3)

    prune_all(journal, later + KEEP_UNCLAIMED - 1)
    assert numbers(journal, key) == [1, 2, 3]
    prune_all(journal, later + KEEP_UNCLAIMED)
    assert numbers(journal, key) == []


def test_a_journal_of_an_older_version_is_taken_over(open_journal):
    old = open_journal()
    key = add(old)
    old._db.execute("ALTER TABLE run DROP COLUMN done_at")

    new = open_journal()
    finish(new, key, 3)

    assert new.get_run("r1", 1).is_done


def test_a_page_is_limited_by_its_bytes(journal):
    key = add(journal, count=5, size=600_000)

    assert numbers(journal, key) == [1, 2]
    assert numbers(journal, key, after=2) == [3, 4]


def test_a_tombstone_lasts_a_minute(journal):
    journal.bury("r1", now=1000.0)

    assert journal.is_buried("r1", now=1000.0 + TOMBSTONE - 1)
    assert not journal.is_buried("r1", now=1000.0 + TOMBSTONE)
    assert not journal.is_buried("r2", now=1000.0)


def test_programs_are_remembered_until_they_are_gone(journal):
    journal.add_process(7, "then")
    journal.add_process(8, "later")
    journal.remove_process(7)

    assert [(p.pid, p.started) for p in journal.list_processes()] == [(8, "later")]


def test_a_long_run_is_pruned_in_bites_and_read_in_none(open_journal):
    journal = open_journal()
    key = add(journal, count=5000)
    finish(journal, key, 5000)
    journal.ack("r1", 1, 5000)

    assert journal.prune(now=HOUR_LATER)
    assert journal.find_run("r1") is None
    assert numbers(journal, key)  # still there, and nobody can ask for it

    after_a_restart = open_journal()
    assert prune_all(after_a_restart, HOUR_LATER) == 2
    assert numbers(after_a_restart, key) == []


def test_a_key_is_never_used_again(journal):
    old = add(journal, "old")
    finish(journal, old, 3)
    journal.ack("old", 1, 3)
    prune_all(journal, HOUR_LATER)

    assert add(journal, "new") > old
