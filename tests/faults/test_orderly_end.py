"""SIGTERM of ``make run`` while programs and pages read: all ends, and nothing is an error."""

import signal
from contextlib import ExitStack

import pytest

from mesh import processes
from tests.cluster.page import Page
from tests.faults.reader import Reader
from tests.running import say
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.faults


@pytest.fixture
def read(breakable):
    """A thread whose run never ends by itself, read by programs and pages: (its id, them)."""
    with ExitStack() as opened, breakable.client() as client:
        thread = client.post("/threads", json={}).json()["id"]
        to = {"token": breakable.token, "thread": thread}
        readers = [opened.enter_context(Reader(lambda: breakable.url, **to)) for _ in range(5)]
        where = {"session": breakable.session(), "thread": thread, "origin": breakable.url}
        pages = [opened.enter_context(Page(breakable.url, **where)) for _ in range(3)]
        say(client, thread, "count slowly to a hundred", harnessId="demo")
        for one in (*readers, *pages):
            until(lambda one=one: len(one.seen) > 10, what="some pieces")
        yield thread, readers, pages


def test_it_ends_everything_it_has_started_and_reports_no_error(breakable, read):
    _, _, pages = read
    started = [breakable.link(), *breakable.sandboxes()]

    breakable.process.send_signal(signal.SIGTERM)

    assert breakable.process.wait(PATIENCE) == 0
    assert not any(processes.is_same(*one) for one in started)
    for page in pages:
        until(lambda page=page: page.code, what="its close")
    assert {page.code for page in pages} == {1012}  # a restart: come back
    assert [line for line in breakable.lines if line.startswith("Error")] == []


def test_who_read_reads_on_after_the_next_start(breakable, read):
    _, readers, _ = read
    breakable.process.send_signal(signal.SIGTERM)
    breakable.process.wait(PATIENCE)

    breakable.start()

    for reader in readers:
        until(lambda reader=reader: reader.is_done, what="the end")
    [seen] = {tuple(seq for seq, _ in reader.seen) for reader in readers}
    assert seen == tuple(range(1, len(seen) + 1))


def test_a_sandbox_that_hangs_does_not_keep_it(breakable, read):
    [(pid, started)] = breakable.sandboxes()
    processes.signal_group(pid, signal.SIGSTOP)

    breakable.process.send_signal(signal.SIGTERM)

    assert breakable.process.wait(PATIENCE) == 0
    assert not processes.is_same(pid, started)


def test_no_sandbox_is_left_that_began_while_another_was_slow_to_end(breakable, read):
    """The first one's end makes room for a message that waits, while the link still serves."""
    thread, _, _ = read
    first = breakable.sandboxes()
    with breakable.client() as client:
        other = client.post("/threads", json={}).json()["id"]
        to = {"harnessId": "demo", "branch": "other"}
        assert say(client, other, "count slowly to a hundred", **to).status_code == 202
        until(lambda: len(breakable.sandboxes()) == 2, what="the other sandbox")
        assert say(client, thread, "count slowly to fifty").status_code == 202
    [slow] = set(breakable.sandboxes()) - set(first)
    processes.signal_group(slow[0], signal.SIGSTOP)

    breakable.process.send_signal(signal.SIGTERM)

    assert breakable.process.wait(PATIENCE) == 0
    assert breakable.sandboxes() == []
