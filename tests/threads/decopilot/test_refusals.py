"""What the model refuses is said in words, and leaves what it is sent next."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_refused_message_is_told_and_not_sent_again(chat, standin, kind):
    await chat.send("say: one")
    refused = await chat.send("decline now")
    later = await chat.send("hello")

    assert refused.error["code"] == "model_refused"
    assert refused.error["message"].startswith("The model refused to answer.")
    if kind in ("anthropic", "openai"):  # the others give no reason
        assert "could enable cyber harm" in refused.error["message"]
    assert later.text == "You said: hello"
    sent = json.dumps(standin.messages[-1].body)
    assert "decline now" not in sent
    assert "say: one" in sent


async def test_a_refusal_in_the_middle_keeps_what_was_said_for_the_person(chat, standin):
    refused = await chat.send("decline in the middle")

    assert refused.text.startswith("I begin")
    assert refused.error["code"] == "model_refused"
    assert (await chat.send("hello")).text == "You said: hello"
    assert "I begin" not in json.dumps(standin.messages[-1].body)


@pytest.mark.parametrize("kind", ["anthropic"], indirect=True)
async def test_a_message_can_leave_out_all_earlier_ones_for_good(chat, standin):
    await chat.send("say: one")
    await chat.send("say: two", metadata={"withoutEarlier": True})
    await chat.send("say: three")

    sent = json.dumps(standin.messages[-1].body)
    assert "say: one" not in sent
    assert "say: two" in sent


@pytest.mark.parametrize("kind", ["anthropic", "google"], indirect=True)
async def test_a_history_that_is_too_long_for_the_model_is_shortened(chat, standin):
    await chat.send("say: first")
    await chat.send("x" * 60_000)
    standin.longest = 40_000
    too_long = await chat.send("y" * 60_000)
    later = await chat.send("say: later")

    assert too_long.error["code"] == "context_too_long"  # it alone is
    assert later.text == "later"
    (notice,) = {chunk["data"]["text"] for chunk in later.of("data-notice")}
    assert "older messages were left out" in notice
