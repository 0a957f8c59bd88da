"""The sandbox behind the tools: started once, at the first call, and again only after a break."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from mesh.lib.targets import BadTarget
from sandboxes.providers.base import DispatchRefused, LinkOffline, SandboxDown, StreamCut
from tests.threads.decopilot.conftest import PLACE, AnsweringSandbox
from threads.decopilot import shell
from threads.decopilot.files import Files, Made, ToolFailed


def files(sandbox):
    async def find():
        return PLACE, sandbox

    return Files(find)


async def ask(tools, *, is_repeatable=True):
    return await tools.ask("glob", {}, is_repeatable=is_repeatable, limit=5)


async def test_many_first_calls_start_it_once():
    sandbox = AnsweringSandbox(glob={"files": []})
    tools = files(sandbox)
    await asyncio.gather(*(ask(tools) for _ in range(5)))

    assert (sandbox.ensured, len(sandbox.asked)) == (1, 5)


@pytest.mark.parametrize(
    "broken",
    [
        StreamCut(),
        SandboxDown(),
        (502, {"error": {"code": "sandbox_down", "message": "m"}}),
        (404, {"error": {"code": "unknown_handle", "message": "m"}}),
        (503, "no JSON of ours"),
    ],
    ids=["cut", "down", "said down", "unknown there", "a proxy's page"],
)
async def test_it_is_started_again_and_asked_once_more(broken):
    sandbox = AnsweringSandbox(glob=[broken, {"files": ["a"]}])

    assert await ask(files(sandbox)) == {"files": ["a"]}
    assert sandbox.ensured == 2


@pytest.mark.parametrize("error", [OSError("x"), asyncio.CancelledError()], ids=["odd", "ended"])
async def test_a_start_that_failed_is_not_what_the_next_call_gets(error):
    places = [error, (PLACE, AnsweringSandbox(glob={"files": []}))]

    async def find():
        if isinstance(place := places.pop(0), BaseException):
            raise place
        return place

    tools = Files(find)
    with pytest.raises(type(error)):
        await ask(tools)

    assert await ask(tools) == {"files": []}


async def test_a_call_is_retried_only_once():
    sandbox = AnsweringSandbox(glob=StreamCut())
    with pytest.raises(ToolFailed):
        await ask(files(sandbox))

    assert len(sandbox.asked) == 2


async def test_a_call_that_is_not_repeatable_is_not_retried():
    sandbox = AnsweringSandbox(glob=StreamCut())
    with pytest.raises(ToolFailed, match="not known whether"):
        await ask(files(sandbox), is_repeatable=False)

    assert len(sandbox.asked) == 1


async def test_a_refusal_is_final_and_said_in_the_sandbox_s_words():
    refusal = (400, {"error": {"code": "bad_path", "message": "No.", "hint": "Look."}})
    sandbox = AnsweringSandbox(glob=refusal)
    with pytest.raises(ToolFailed, match=r"No\. Look\."):
        await ask(files(sandbox))

    assert len(sandbox.asked) == 1


@pytest.mark.parametrize("error", [LinkOffline(), DispatchRefused("x", "It can't be started.")])
async def test_an_offline_machine_is_reported_and_the_next_call_tries_again(error):
    sandbox = AnsweringSandbox(glob=[error, {"files": []}])
    tools = files(sandbox)
    with pytest.raises(ToolFailed):
        await ask(tools)

    assert await ask(tools) == {"files": []}


@pytest.mark.parametrize("task", ["../../other/exec/x", "a/b", "a?b", "..", "a#b"])
async def test_the_name_that_a_sandbox_gives_a_task_is_one_segment_of_an_address(task):
    address = f"tasks/{quote(task, safe='')}"
    ended = {"status": "exited", "exitCode": 0}
    sandbox = AnsweringSandbox(**{"bash": {"taskId": task}, address: ended})

    assert await shell.run(files(sandbox), {"command": "true"}, Made("r.c")) == ended
    assert [path for path, _ in sandbox.asked] == ["bash", address]


async def test_an_address_that_may_not_be_forwarded_is_reported_to_the_model():
    sandbox = AnsweringSandbox(glob=BadTarget())

    with pytest.raises(ToolFailed, match="segment"):
        await ask(files(sandbox))
