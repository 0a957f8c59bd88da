"""The input of a run, as wire.md §7 has it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.base import BadInput, parse_input

FIXTURE = {
    "threadId": "thr-fixture",
    "runId": "run-fixture",
    "taskId": "thr-fixture",
    "messages": [],
    "models": {
        "credentialId": "cred-fixture",
        "thinking": {"id": "claude-code:opus", "title": "Opus"},
    },
    "mcp": {
        "url": "https://mesh.example.com/mcp/virtual-mcp/agent-fixture",
        "headers": {"Authorization": "Bearer fixture-token"},
        "expiresAt": 9999999999000,
    },
    "mode": "default",
    "temperature": 0.7,
    "toolApprovalLevel": "auto",
    "user": {"id": "user-fixture", "email": "fixture@example.com"},
    "organizationId": "org-fixture",
    "virtualMcp": {"id": "agent-fixture"},
    "agent": {"id": "agent-fixture"},
}
REQUIRED = [key for key in FIXTURE if key not in ("mcp", "virtualMcp")]


def test_the_shared_fixture_is_read():
    """S32"""
    turn = parse_input(FIXTURE)

    assert (turn.thread_id, turn.run_id) == ("thr-fixture", "run-fixture")
    assert (turn.model, turn.mode, turn.approval_level) == ("opus", "default", "auto")
    assert (turn.tier, turn.prompt, turn.resume_session_ref) == ("smart", "", None)
    assert turn.mcp == FIXTURE["mcp"]


def test_what_is_not_known_is_dropped():
    """S33"""
    more = FIXTURE | {"signal": {}, "processLocal": 1, "whatever": []}

    assert parse_input(more) == parse_input(FIXTURE)


@pytest.mark.parametrize("key", REQUIRED)
@pytest.mark.parametrize("value", [None, True, [7]], ids=["null", "yes", "list"])
def test_a_required_value_of_another_type_is_named(key, value):
    with pytest.raises(BadInput, match=f"input.{key} must be") as refused:
        parse_input(FIXTURE | {key: value})

    assert refused.value.code == "bad_input"


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_value_is_named(key):
    with pytest.raises(BadInput, match=f"input.{key} must be"):
        parse_input({k: v for k, v in FIXTURE.items() if k != key})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"user": {}}, "user.id", id="nobody"),
        pytest.param({"agent": {"id": ""}}, "agent.id", id="agent without id"),
        pytest.param({"messages": [1]}, "messages must be a list of objects", id="messages"),
        pytest.param({"models": {"thinking": {}}}, "models.thinking.id", id="model without id"),
        pytest.param({"taskId": "thr-other"}, "taskId must be the thread's", id="another thread"),
        pytest.param({"branch": 3}, "branch must be a text, null or absent", id="branch"),
        pytest.param({"temperature": True}, "temperature must be a number", id="yes is no number"),
        pytest.param({"temperature": float("nan")}, "temperature must be", id="not a number"),
        pytest.param({"temperature": 10**400}, "temperature must be", id="too large"),
    ],
)
def test_refuses(changes, words):
    with pytest.raises(BadInput, match=words):
        parse_input(FIXTURE | changes)


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(BadInput, match="input must be an object"):
        parse_input(value)


def test_a_model_without_a_provider_is_fine():
    thinking = {"id": "gpt", "title": "GPT", "provider": None}

    assert parse_input(FIXTURE | {"models": {"thinking": thinking}}).model == "gpt"


@pytest.mark.parametrize(
    ("model_id", "model"),
    [
        ("claude-code:sonnet", "sonnet"),
        ("sonnet", "sonnet"),
        ("acp:gemini:pro", "gemini:pro"),
        ("claude-code:smart", ""),  # a tier is no model: the program's own default
    ],
)
def test_the_model_without_its_harness(model_id, model):
    models = {"thinking": {"id": model_id, "title": ""}}

    assert parse_input(FIXTURE | {"models": models}).model == model


def said(*messages):
    return parse_input(FIXTURE | {"messages": list(messages)}).prompt


def message(role, *parts):
    return {"role": role, "parts": list(parts)}


def text(value):
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    ("messages", "prompt"),
    [
        pytest.param([], "", id="none"),
        pytest.param([message("user", text("a"))], "a", id="one"),
        pytest.param([message("user", text("a"), text("b"))], "a\nb", id="joined"),
        pytest.param(
            [message("user", text("a"), {"type": "file", "url": "x"})], "a", id="no text skipped"
        ),
        pytest.param(
            [message("user", text("old")), message("user", text("new"))], "new", id="the last"
        ),
        pytest.param(
            [message("user", text("a")), message("assistant", text("b"))], "a", id="the user's"
        ),
        pytest.param([{"role": "user", "parts": "odd"}], "", id="parts of another type"),
        pytest.param([message("user", {"type": "text", "text": 1}, 7)], "", id="odd parts"),
    ],
)
def test_the_prompt_is_the_text_of_the_last_user_message(messages, prompt):
    """D-HN3 to D-HN8"""
    assert said(*messages) == prompt


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(changes=st.dictionaries(st.sampled_from([*FIXTURE, "branch", "tier"]), json_values))
def test_anything_else_is_read_or_refused_with_a_sentence(changes):
    with contextlib.suppress(BadInput):
        turn = parse_input(FIXTURE | changes)
        assert isinstance(turn.prompt, str)
        assert isinstance(turn.model, str)
