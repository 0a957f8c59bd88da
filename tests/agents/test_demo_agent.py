"""The demo agent's scripts; its program and adapter are ``tests/harness/test_demo_real.py``'s."""

from __future__ import annotations

import pytest

from agents import demo_agent
from agents.demo_agent import HELP, Agent


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(demo_agent, "say", lambda kind, **fields: lines.append((kind, fields)))
    return lines


def play(prompt, *signals, **order):
    agent = Agent("session")
    agent.turn = 1
    for signal in signals:
        agent.signals.put(signal)
    agent._play({"prompt": prompt, **order})


def text_of(said):
    return "".join(fields["delta"] for kind, fields in said if kind == "text")


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        pytest.param("please count to three", "1, 2, 3", id="a word"),
        pytest.param("count to 4", "1, 2, 3, 4", id="digits"),
        pytest.param("big 5", "xxxxx", id="a large text"),
        pytest.param("what is this?", HELP, id="anything else"),
    ],
)
def test_a_few_words_decide_what_is_played(said, prompt, text):
    play(prompt)

    assert text_of(said).strip() == text.strip()
    assert said[-1] == ("end", {"reason": "stop"})


def test_in_plan_mode_no_command_runs(said, tmp_path):
    play(f"run touch {tmp_path}/made", mode="plan", level="auto")

    assert not list(tmp_path.iterdir())
    assert "tool" not in [kind for kind, _ in said]


def test_a_command_runs_only_after_it_was_allowed(said, monkeypatch):
    answer = {"type": "answer", "decision": "deny", "reason": "not now"}
    monkeypatch.setattr(Agent, "pause", lambda self, seconds: answer | {"id": asked(said)})

    play("run echo hi", level="readonly")

    assert [kind for kind, _ in said if kind in ("ask", "denied", "output")] == ["ask", "denied"]
    assert "not now" in text_of(said)


def asked(said):
    return next((fields["id"] for kind, fields in said if kind == "ask"), None)


def test_an_interrupt_ends_the_turn(said):
    play("count to 100", (1, {"type": "interrupt"}))

    assert said[-1] == ("end", {"reason": "interrupted"})
    assert "100" not in text_of(said)


def test_an_interrupt_of_an_earlier_turn_is_ignored(said):
    play("count to three", (0, {"type": "interrupt"}))

    assert said[-1] == ("end", {"reason": "stop"})


def test_a_message_in_the_middle_is_reported_as_read(said):
    play("count to three", (1, {"type": "steer", "id": "s1", "text": "hello"}))

    assert ("steered", {"id": "s1"}) in said
    assert "hello" in text_of(said)
