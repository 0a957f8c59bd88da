"""What Codex offers: its models with their efforts, and its skills."""

from __future__ import annotations

import json

import pytest

from agents.harness.base import Write
from agents.harness.codex import CodexAdapter
from tests.harness.driver import chunks_of, turn, types_of

EFFORTS = [{"reasoningEffort": "low"}, {"reasoningEffort": "ultra"}, {"reasoningEffort": 5}]
MODELS = [
    {"id": "gpt-b", "displayName": "B", "isDefault": True, "supportedReasoningEfforts": EFFORTS},
    {"id": "gpt-a", "displayName": "A"},
    {"id": "gpt-x", "hidden": True},
]
SKILL = {"name": "plan-it", "path": "/s/SKILL.md", "description": "Plans", "enabled": True}
SKILLS = [{"skills": [SKILL, {"name": "off", "enabled": False}]}]


@pytest.fixture
def adapter():
    return CodexAdapter()


def tell(adapter, **message):
    return adapter.feed(json.dumps(message).encode())


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def begin(adapter, model="gpt-a", provider="openai", **given):
    """Take a turn to the lists; return all outputs."""
    models = {"thinking": {"id": f"codex:{model}"}}
    outs = adapter.begin(turn(given.pop("text", "hi"), models=models, **given))
    outs += tell(adapter, id=1, result={})
    thread = {"thread": {"id": "t"}, "cwd": "/f", "model": "gpt-b", "modelProvider": provider}
    sandbox = {"sandbox": {"type": "workspaceWrite"}}
    outs += tell(adapter, id=2, result=thread | sandbox)
    asked = {line["method"]: line.get("id") for line in written(outs)}
    outs += tell(adapter, id=asked["skills/list"], result={"data": SKILLS})
    return outs + tell(adapter, id=asked["model/list"], result={"data": MODELS})


def started(outs):
    """Return the parameters of the turn that was started."""
    (params,) = [line["params"] for line in written(outs) if line["method"] == "turn/start"]
    return params


def settings(outs):
    return started(outs)["collaborationMode"]["settings"]


def notices(outs):
    return [c["data"]["code"] for c in chunks_of(outs) if c["type"] == "data-notice"]


def test_models_efforts_and_skills_are_offered(adapter):
    data = [c["data"] for c in chunks_of(begin(adapter)) if c["type"] == "data-agent-options"][-1]

    assert [(each["id"], each["current"]) for each in data["models"]] == [
        ("gpt-b", False),
        ("gpt-a", True),
    ]
    assert data["models"][0]["efforts"] == ["low", "ultra"]
    assert data["commands"] == [{"name": "plan-it", "description": "Plans", "hint": ""}]


@pytest.mark.parametrize(
    ("model", "provider", "expected", "told"),
    [
        pytest.param("gpt-a", "openai", "gpt-a", [], id="listed"),
        pytest.param("gpt-x", "openai", "gpt-x", [], id="listed, and hidden"),
        pytest.param("gpt-5.3-codex", "openai", "gpt-b", ["model_changed"], id="not listed"),
        pytest.param("mine", "my-provider", "mine", [], id="of a provider of one's own"),
    ],
)
def test_a_model_that_is_not_listed_never_answers(adapter, model, provider, expected, told):
    outs = begin(adapter, model, provider)

    assert (settings(outs)["model"], notices(outs)) == (expected, told)


@pytest.mark.parametrize(
    ("effort", "expected", "told"),
    [("ultra", "ultra", []), ("huge", None, ["model_changed"]), ("", None, [])],
)
def test_an_effort_that_the_model_does_not_have_is_told(adapter, effort, expected, told):
    outs = begin(adapter, "gpt-b", effort=effort)

    assert (settings(outs)["reasoning_effort"], notices(outs)) == (expected, told)


def test_a_list_that_fails_changes_nothing(adapter):
    models = {"thinking": {"id": "codex:gpt-5.3-codex"}}
    outs = adapter.begin(turn("hi", models=models)) + tell(adapter, id=1, result={})
    thread = {"thread": {"id": "t"}, "modelProvider": "openai"}
    outs += tell(adapter, id=2, result=thread | {"sandbox": {"type": "workspaceWrite"}})
    (request,) = [line["id"] for line in written(outs) if line["method"] == "model/list"]

    outs = tell(adapter, id=request, error={"message": "no"})

    assert settings(outs)["model"] == "gpt-5.3-codex"


def test_a_stop_before_the_list_is_there_starts_nothing(adapter):
    outs = adapter.begin(turn("hi")) + tell(adapter, id=1, result={})
    thread = {"thread": {"id": "t"}, "modelProvider": "openai"}
    outs += tell(adapter, id=2, result=thread | {"sandbox": {"type": "workspaceWrite"}})
    (request,) = [line["id"] for line in written(outs) if line["method"] == "model/list"]
    adapter.interrupt()

    outs = tell(adapter, id=request, result={"data": MODELS})

    assert written(outs) == []
    assert types_of(chunks_of(outs))[-2:] == ["abort", "finish"]


def test_a_skill_is_called_as_a_command(adapter):
    words, skill = started(begin(adapter, text="/plan-it a trip"))["input"]

    assert (words["text"], skill["name"], skill["path"]) == (
        "$plan-it a trip",
        "plan-it",
        "/s/SKILL.md",
    )


@pytest.mark.parametrize("text", ["/off now", "/etc/hosts is broken", "/", "plan-it"])
def test_anything_else_is_words(adapter, text):
    (words,) = started(begin(adapter, text=text))["input"]

    assert words["text"] == text
