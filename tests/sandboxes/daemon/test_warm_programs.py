from __future__ import annotations

import asyncio

from agents.harness.base import BackgroundTask
from sandboxes.daemon.background import BackgroundWork
from sandboxes.daemon.warm_programs import WarmPrograms


class StandIn:
    """A conversation whose program is a flag."""

    def __init__(self, thread_id):
        self.thread_id = thread_id
        self.program = self
        self.is_alive = True
        self.background = BackgroundWork()

    def end(self):
        self.is_alive = False
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def test_it_waits_for_its_thread():
    warm, one = WarmPrograms(), StandIn("one")
    warm.keep(one)

    assert warm.take("two") is None
    assert warm.take("one") is one
    assert warm.take("one") is None
    assert one.is_alive


async def test_a_warm_program_is_ended_after_its_time():
    warm, one = WarmPrograms(idle_for=0), StandIn("one")
    warm.keep(one)
    while warm:
        await asyncio.sleep(0)

    assert not one.is_alive


async def test_a_program_that_works_in_the_background_is_not_ended():
    warm, one = WarmPrograms(idle_for=0, most=1), StandIn("one")
    one.background.update([BackgroundTask("b1", "wait")])
    warm.keep(one)
    for _ in range(20):
        await asyncio.sleep(0)
    warm.keep(StandIn("two"))

    assert one.is_alive
    assert one in warm.all()
    await warm.close()


async def test_the_longest_waiting_goes_first():
    warm, all_of_them = WarmPrograms(most=2), [StandIn(name) for name in "abc"]
    for conversation in all_of_them:
        warm.keep(conversation)

    assert [c.is_alive for c in all_of_them] == [False, True, True]
    assert len(warm) == 2


async def test_the_dead_are_not_kept():
    warm, dead, dies = WarmPrograms(), StandIn("dead"), StandIn("dies")
    dead.is_alive = False
    warm.keep(dead)
    warm.keep(dies)
    dies.is_alive = False

    assert len(warm) == 0


async def test_closing_ends_all():
    warm, both = WarmPrograms(), [StandIn("a"), StandIn("b")]
    for conversation in both:
        warm.keep(conversation)

    await warm.close()

    assert not any(c.is_alive for c in both)
