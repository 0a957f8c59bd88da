"""An exception in a tool fails that call only: the run continues, and the log has the cause."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.harness.shapes import check_chunks
from tests.threads.decopilot.test_loop import started

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(RuntimeError("boom"), id="any exception"),
        pytest.param(RecursionError(), id="recursion"),
        pytest.param(ExceptionGroup("both", [OSError("a"), KeyError("b")]), id="a group"),
        pytest.param({"status": "running"}, id="an answer without what it must have"),
    ],
)
async def test_an_exception_of_a_tool_ends_the_call_and_not_the_run(
    runs, ask, sandbox, caplog, wrong
):
    sandbox.replies["bash"] = wrong
    run = await ask(await started(runs, "bash: echo hi", approval_level="auto"))

    check_chunks(run.chunks)
    assert run.error is None
    assert "fault in Mesh" in run.of("tool-output-error")[0]["errorText"]
    assert run.chunks[-1]["finishReason"] == "stop"
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert run.given["runId"] in record.getMessage()
    assert record.exc_info


async def test_something_cancelled_inside_a_tool_is_not_a_stop_of_the_run(runs, ask, sandbox):
    sandbox.replies["glob"] = asyncio.CancelledError()
    run = await ask(await started(runs, 'tool: glob {"pattern": "*"}'))

    check_chunks(run.chunks)
    assert run.of("tool-output-error")
    assert not run.of("abort")


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        pytest.param(rb'{"files": ["a\ud800b\u0000"]}', "a�b�", id="what no text may hold"),
        pytest.param({"files": [{"a": 1}, None]}, "{'a': 1}\nNone", id="no names"),
    ],
)
async def test_an_odd_answer_of_a_sandbox_is_text(runs, ask, sandbox, reply, shown):
    sandbox.replies["glob"] = reply
    run = await ask(await started(runs, 'tool: glob {"pattern": "*"}'))

    check_chunks(run.chunks)
    assert run.of("tool-output-available")[0]["output"] == shown


@pytest.mark.parametrize("kind", ["image/svg+xml", "text/html", "", "image/png; x=\n"])
async def test_an_image_that_no_model_takes_is_not_sent(runs, ask, sandbox, kind):
    sandbox.replies["read"] = {"kind": "image", "data": "aGk=", "mediaType": kind}
    run = await ask(await started(runs, 'tool: read {"file_path": "a"}'))

    check_chunks(run.chunks)
    assert "can't be shown" in run.of("tool-output-error")[0]["errorText"]
