"""A hostile provider: repeated ids of calls, and too many calls."""

from __future__ import annotations

import asyncio

import pytest

from tests.threads.decopilot.conftest import Reader
from tests.threads.decopilot.test_loop import started
from threads.decopilot.engine import CALLS

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "x" * 100


def started_commands(sandbox):
    return [body["command"] for path, body in sandbox.asked if path == "bash"]


async def followed(provider, given, *, allow):
    """Return the run after the questions about the commands ``allow`` were allowed, and all
    others denied."""
    run = Reader(provider, given)
    following = asyncio.create_task(run.follow())
    answered = set()
    while not following.done():
        run.grown.clear()  # what comes while this is answered is looked at, too
        for body in [body for body in run.bodies if "approval" in body]:
            facts = body["approval"]
            key = (facts["approvalId"], facts["input"]["command"])
            if key not in answered:
                answered.add(key)
                decision = "allow" if facts["input"]["command"] in allow else "deny"
                await run.answer(facts["approvalId"], decision)
        waiting = asyncio.create_task(run.grown.wait())
        await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        waiting.cancel()
        if not waiting.done() and not following.done():
            following.cancel()
            raise AssertionError("nothing goes on")
    return run


@pytest.mark.thorough
async def test_each_of_two_calls_with_long_ids_has_an_answer_of_its_own(runs, provider, sandbox):
    text = f"as {LONG}a {LONG}b: ls; rm -rf x"
    run = await followed(
        provider, await started(runs, text, approval_level="readonly"), allow={"ls"}
    )

    assert started_commands(sandbox) == ["ls"]
    assert len(run.of("tool-output-denied")) == 1


async def test_two_calls_under_one_id_are_not_made(runs, provider, sandbox):
    text = "as same same: ls; rm -rf x"
    run = await followed(
        provider, await started(runs, text, approval_level="readonly"), allow={"ls"}
    )

    assert started_commands(sandbox) == []
    assert run.error["code"] == "model_confused"


@pytest.mark.parametrize("level", ["auto", "readonly"])
async def test_an_id_is_not_used_again_later(runs, provider, sandbox, level):
    text = "as same: ls then as same: rm -rf x"
    run = await followed(provider, await started(runs, text, approval_level=level), allow={"ls"})

    assert started_commands(sandbox) == ["ls"]
    assert run.error["code"] == "model_confused"


async def test_more_calls_in_one_answer_than_anybody_can_follow_are_not_made(runs, ask, sandbox):
    run = await ask(await started(runs, f"many {CALLS + 1}", approval_level="auto"))

    assert started_commands(sandbox) == []
    assert run.error["code"] == "model_confused"
