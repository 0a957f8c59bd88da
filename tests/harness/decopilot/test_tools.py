"""Decopilot's tools: who must be asked, and what a model may send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.decopilot.tools import TOOLS, BadCall, checked, offered, permission

LOOKS = ("read", "grep", "glob")
ACTS = ("write", "edit", "bash", "web_fetch")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("level", ["auto", "readonly", "plan", "whatever"])
@pytest.mark.parametrize("planning", [True, False])
def test_who_is_asked(name, level, planning):
    """U-M: auto never asks; readonly asks for what is not read-only; plan blocks that."""
    may = permission(TOOLS[name], level=level, planning=planning)
    if name in LOOKS or name == "todo_write":
        assert may == "run"
    elif name in ACTS:
        blocked = planning or level == "plan"
        assert may == ("block" if blocked else "run" if level == "auto" else "ask")
    else:
        assert may == "ask"


def test_a_plan_is_only_shown_while_one_is_made():
    assert {tool.name for tool in offered(planning=True)} - {
        tool.name for tool in offered(planning=False)
    } == {"ExitPlanMode"}


@pytest.mark.parametrize("name", ["edit", "bash", "web_fetch"])
def test_what_must_not_happen_twice_is_not_repeatable(name):
    assert not TOOLS[name].is_repeatable


@pytest.mark.parametrize(
    ("name", "sent", "words"),
    [
        pytest.param("read", {}, "needs file_path", id="missing"),
        pytest.param("read", {"file_path": 5}, "type string", id="another type"),
        pytest.param("read", {"file_path": "a", "limit": True}, "type integer", id="a flag"),
        pytest.param("grep", {"pattern": "a", "mode": "x"}, "one of", id="not in the list"),
        pytest.param("bash", "ls", "takes an object", id="no object"),
        pytest.param("todo_write", {"todos": [{"content": "a"}]}, r"\[0\] needs", id="inside"),
        pytest.param("write", {"file_path": "a", "content": "x" * 200_001}, "longer", id="long"),
    ],
)
def test_a_call_that_can_t_work_is_explained_to_the_model(name, sent, words):
    with pytest.raises(BadCall, match=words):
        checked(TOOLS[name], sent)


def test_what_a_tool_does_not_know_is_left_out():
    assert checked(TOOLS["bash"], {"command": "ls", "cwd": "/"}) == {"command": "ls"}


@given(st.sampled_from(sorted(TOOLS)), JSON)
def test_any_input_is_taken_or_explained(name, sent):
    try:
        taken = checked(TOOLS[name], sent)
    except BadCall:
        return
    assert set(TOOLS[name].required) <= set(taken) <= set(TOOLS[name].properties)
