from __future__ import annotations

from agents.harness.base import BackgroundTask
from sandboxes.daemon.background import LONGEST, BackgroundWork

WAIT, BUILD = BackgroundTask("b1", "wait"), BackgroundTask("b2", "build")


def test_a_task_keeps_the_time_when_it_began():
    work = BackgroundWork()
    work.update([WAIT], now=10)
    work.update([WAIT, BUILD], now=20)

    assert work.as_json() == [
        {"id": "b1", "title": "wait", "kind": "command", "startedAt": 10},
        {"id": "b2", "title": "build", "kind": "command", "startedAt": 20},
    ]


def test_what_has_ended_is_gone():
    work = BackgroundWork()
    work.update([WAIT], now=10)
    work.update([], now=20)

    assert work.as_json() == []
    assert not work.keeps(now=20)


def test_work_keeps_its_program_for_half_a_day_at_most():
    work = BackgroundWork()
    work.update([WAIT], now=10)

    assert work.keeps(now=9 + LONGEST)
    assert not work.keeps(now=10 + LONGEST)
