"""What the real programs do after a refusal, and that the chat goes on.

Claude Code and Codex keep the refused words in their session, so that the model refuses what
follows, too; the server then has the next turn begin a new one (``threads.serving.history``).
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Fail
from tests.harness.cli import need
from tests.harness.driver import Driver, text_of, turn
from tests.harness.real import claude_env, codex_env
from tests.pictures import half, picture

pytestmark = pytest.mark.real_cli

EARLIER = [{"role": "user", "text": "my word is walnut"}, {"role": "assistant", "text": "Noted."}]
PROGRAMS = {
    "claude": ("claude-code", claude_env),
    "codex": ("codex", codex_env),
}


@pytest.fixture(params=PROGRAMS)
async def driver(request, standin, home, tmp_path):
    kind, env = PROGRAMS[request.param]
    program = need(request.param)
    (tmp_path / "work").mkdir()
    standin.is_strict = True
    driver = Driver(ADAPTERS[kind](), [program], env=env(home, standin.url), cwd=tmp_path / "work")
    yield driver
    await driver.stop()


def failure_of(driver):
    return next((out.code for out in driver.outs if isinstance(out, Fail)), None)


async def begin_afresh(driver, text):
    """Play a turn as the server dispatches it after a refusal, in a new program."""
    again = turn(text, beginsAfresh=True, earlier=EARLIER)
    assert driver.adapter.key(again) != driver.adapter.key(turn(text))
    await driver.stop()
    driver.adapter.ended(0, "")
    return await driver.run(again)


async def test_a_refusal_is_named_and_the_next_turn_goes_on_without_it(driver, standin):
    await driver.run(turn("say: one"))
    await driver.run(turn("decline now"))
    code = failure_of(driver)

    chunks = await begin_afresh(driver, "hello")

    assert failure_of(driver) is None
    assert "hello" in text_of(chunks)
    last = json.dumps(standin.messages[-1].body)
    assert "decline now" not in last
    assert "walnut" in last
    assert code == "model_refused"


async def test_a_picture_that_the_provider_refuses_does_not_end_the_chat(driver, standin):
    """Newer ones are read before they are stored: this one is from before."""
    data = base64.b64encode(half(picture("JPEG", (800, 600)))).decode()
    file = {"type": "file", "mediaType": "image/jpeg", "filename": "a.jpg"}
    said = turn("say: seen")
    parts = [*said.last_message["parts"], {**file, "url": f"data:image/jpeg;base64,{data}"}]
    await driver.run(replace(said, messages=(said.last_message | {"parts": parts},)))

    if code := failure_of(driver):  # Claude Code itself leaves the picture out
        assert code == "file_refused", [out for out in driver.outs if isinstance(out, Fail)]
        chunks = await begin_afresh(driver, "hello")
    else:
        chunks = await driver.run(turn("hello"))

    assert "hello" in text_of(chunks)
