"""An exception in a tool fails that call only: the run continues, and the log has the cause."""

from __future__ import annotations

import asyncio
import base64
import logging

import pytest

from tests.harness.shapes import check_chunks
from tests.pictures import half, picture
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
        pytest.param(rb'{"files": ["a\ud800b\u0000"]}', '"a�b\\000"', id="what no text may hold"),
        pytest.param({"files": ["a\nb", '"a\\nb"']}, '"a\\nb"\n"a\\nb"', id="two lines"),
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


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(half(picture("JPEG", (800, 600))), "damaged, so it is left out", id="half"),
        pytest.param(picture("PNG", (300, 8570)), "Scaled down from 300 × 8570", id="large"),
    ],
)
async def test_an_image_of_a_tool_is_read_before_the_model_gets_it(
    runs, ask, sandbox, standin, data, said
):
    image = {"kind": "image", "data": base64.b64encode(data).decode(), "mediaType": "image/png"}
    sandbox.replies["read"] = image
    run = await ask(await started(runs, 'tool: read {"file_path": "a"}'))

    assert said in run.of("tool-output-available")[0]["output"]
    assert (run.error, standin.refusals) == (None, [])


TEXT = {"kind": "text", "content": "1\ta", "lineCount": 1, "truncated": False}
SJIS = {"encoding": "Shift-JIS", "encodingIsGuess": True}
UNKNOWN = {"encoding": "unknown", "encodingMaybe": ["Big5", "GB18030"]}
WRITE = 'tool: write {"file_path": "a", "content": "b"}'
EDIT = 'tool: edit {"file_path": "a", "old_string": "b", "new_string": "c"}'


@pytest.mark.parametrize(
    ("call", "reply", "told"),
    [
        pytest.param('tool: read {"file_path": "a"}', TEXT, "1\ta", id="as usual"),
        pytest.param(
            'tool: read {"file_path": "a"}',
            {**TEXT, **SJIS, "lineEnds": "CRLF"},
            "1\ta\n(The file is Shift-JIS, which is a guess and has CRLF line ends.)",
            id="both",
        ),
        pytest.param(
            'tool: read {"file_path": "a"}',
            {**TEXT, **UNKNOWN},
            "1\ta\n(The file is not UTF-8; it may be Big5 or GB18030: name the encoding to see its"
            " characters.)",
            id="unknown",
        ),
        pytest.param(
            EDIT,
            {"replacements": 1, "lineEnds": "mixed"},
            "Replaced 1 place in a. The file has mixed line ends.",
            id="edited",
        ),
        pytest.param(
            WRITE,
            {"bytesWritten": 3, "changed": ["its line ends, from LF to CRLF"]},
            "Wrote 3 bytes to a. This changed its line ends, from LF to CRLF.",
            id="written",
        ),
    ],
)
async def test_the_model_is_told_what_is_not_as_usual_in_a_file(
    runs, ask, sandbox, call, reply, told
):
    sandbox.replies[call.split()[1]] = reply
    run = await ask(await started(runs, call, approval_level="auto"))

    assert run.of("tool-output-available")[0]["output"] == told
