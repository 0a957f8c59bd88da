from __future__ import annotations

import asyncio
import gc

from mesh.background import keep_running, run_in_background
from tests.waiting import auntil


async def test_a_failure_is_logged(caplog):
    async def fail():
        raise RuntimeError("no disk")

    await asyncio.wait([run_in_background(fail(), what="tidying up")])

    assert "tidying up failed" in caplog.text
    assert "no disk" in caplog.text


async def test_it_is_not_collected_while_it_waits():
    done = []

    async def work():
        for _ in range(3):
            await asyncio.sleep(0)
            gc.collect()
        done.append(True)

    run_in_background(work(), what="work")

    await auntil(lambda: done)


async def test_what_is_cancelled_is_no_failure(caplog):
    task = run_in_background(asyncio.Event().wait(), what="waiting")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert caplog.text == ""


async def test_what_must_live_is_started_again(caplog):
    outcomes = [OSError("first"), ValueError("second"), "done"]

    async def work():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def no_wait(seconds):
        assert seconds > 0

    assert await keep_running(work, what="probing", sleep=no_wait) == "done"
    assert caplog.text.count("probing failed") == 2
