"""Recordings of the real programs give the chunks they always gave."""

from __future__ import annotations

import pytest

from agents.harness.claude_code import ClaudeCodeAdapter
from tests.harness.driver import chunks_of
from tests.harness.scenarios import CLAUDE_CODE, RECORDED, expected, load, play
from tests.harness.shapes import check_turn


@pytest.mark.parametrize("name", CLAUDE_CODE)
def test_claude_code(name):
    outs = play(ClaudeCodeAdapter(), CLAUDE_CODE[name], load("claude-code", name))

    check_turn(outs)
    assert chunks_of(outs) == expected("claude-code", name)


def test_no_recording_without_a_scenario():
    names = {path.name.split(".")[0] for path in (RECORDED / "claude-code").iterdir()}

    assert names == set(CLAUDE_CODE)
