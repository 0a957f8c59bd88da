"""The model and the effort that a person chose, in a session of an ACP agent."""

from __future__ import annotations

import json

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Write
from tests.harness.acp.scripted import line
from tests.harness.driver import chunks_of, turn

PROMPT = "session/prompt"


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def option(name, category, value, *values):
    listed = [{"value": each, "name": each.upper()} for each in values]
    shown = {"id": name, "name": name, "category": category, "type": "select"}
    return shown | {"currentValue": value, "options": listed}


class Agent:
    """An agent that sets what it is told to; ``stubborn`` ones say yes, and don't."""

    def __init__(self, kind="acp:opencode", *, options=(), models=None, **more):
        self.adapter = ADAPTERS[kind]()
        self.options, self.models = {each["id"]: dict(each) for each in options}, models
        self.is_stubborn, self.refusal = more.get("stubborn", False), more.get("refusal")
        self.requests = []

    def begin(self, model="", effort=""):
        named = {"thinking": {"id": f"{self.adapter.kind}:{model or 'smart'}"}}
        given = turn("hi", models=named, effort=effort)
        self.requests = []
        return self._hear(self.adapter.begin(given))

    def end(self):
        prompt = next(each["id"] for each in self.requests if each["method"] == PROMPT)
        self.adapter.feed(line(id=prompt, result={"stopReason": "end_turn"}))

    def _hear(self, outs):
        for request in [each for each in written(outs) if "id" in each]:
            self.requests.append(request)
            if request["method"] != PROMPT:
                outs = outs + self._hear(
                    self.adapter.feed(line(id=request["id"], **self._answer(request)))
                )
        return outs

    def _answer(self, request):
        method, params = request["method"], request["params"]
        if method == "initialize":
            return {"result": {"protocolVersion": 1}}
        if method == "session/new":
            models = {"models": self.models} if self.models else {}
            return {"result": {"sessionId": "s", "configOptions": self._options()} | models}
        if self.refusal and method != "session/set_mode":
            return {"error": {"code": -1, "message": self.refusal}}
        if method == "session/set_config_option":
            if not self.is_stubborn:
                self.options[params["configId"]]["currentValue"] = params["value"]
            return {"result": {"configOptions": self._options()}}
        return {"result": {}}

    def _options(self):
        return list(self.options.values())

    def set(self):
        """Return what was set, in order, before the prompt."""
        names = ("value", "modelId")
        return [
            each["params"][name]
            for each in self.requests
            for name in names
            if name in each["params"] and each["params"].get("configId") != "mode"
        ]


MODEL = option("model", "model", "a", "a", "b")
EFFORT = option("effort", "thought_level", "low", "low", "max")
THINKING = option("thinking", "thinking", "off", "off", "max")
MODELS = {"currentModelId": "a", "availableModels": [{"modelId": "a"}, {"modelId": "b"}]}


def told(outs):
    return [c["data"]["text"] for c in chunks_of(outs) if c["type"] == "data-notice"]


@pytest.mark.parametrize(
    ("offered", "model", "effort", "expected"),
    [
        pytest.param({"options": [MODEL, EFFORT]}, "b", "max", ["b", "max"], id="both"),
        pytest.param({"options": [MODEL, EFFORT]}, "a", "low", [], id="what is set already"),
        pytest.param({"options": [MODEL, THINKING]}, "", "max", ["max"], id="by another name"),
        pytest.param({"models": MODELS}, "b", "", ["b"], id="of a list of models"),
        pytest.param({"models": MODELS}, "", "", [], id="nothing chosen"),
    ],
)
def test_a_session_is_set_to_the_choice_before_its_prompt(offered, model, effort, expected):
    agent = Agent(**{"options": []} | offered)

    outs = agent.begin(model, effort)

    assert (agent.set(), told(outs)) == (expected, [])
    assert agent.requests[-1]["method"] == PROMPT


@pytest.mark.parametrize(
    ("offered", "model", "effort", "words"),
    [
        pytest.param({"options": [MODEL]}, "c", "", "a instead of c", id="not listed"),
        pytest.param({"models": MODELS}, "c", "", "a instead of c", id="not in its list"),
        pytest.param({"options": [EFFORT]}, "", "huge", "“low” instead of “huge”", id="no effort"),
        pytest.param({"options": [MODEL]}, "", "max", "instead of “max”", id="no efforts"),
        pytest.param(
            {"options": [MODEL], "stubborn": True}, "b", "", "a instead of b", id="ignored"
        ),
        pytest.param({"options": [MODEL], "refusal": "No."}, "b", "", "b. No.", id="refused"),
    ],
)
def test_a_choice_that_does_not_hold_is_told_and_answered(offered, model, effort, words):
    agent = Agent(**{"options": []} | offered)

    outs = agent.begin(model, effort)

    assert [words in text for text in told(outs)] == [True]
    assert agent.requests[-1]["method"] == PROMPT


def test_a_choice_in_the_middle_of_a_chat_needs_no_new_program():
    agent = Agent("acp:gemini", models=MODELS)
    agent.begin("a")
    before = agent.adapter.key(turn("hi", models={"thinking": {"id": "acp:gemini:a"}}))
    agent.end()

    again = agent.adapter.key(turn("hi", models={"thinking": {"id": "acp:gemini:b"}}))
    other = agent.adapter.key(turn("hi", models={"thinking": {"id": "acp:gemini:c"}}))
    agent.begin("b")

    assert (again == before, other == before, agent.set()) == (True, False, ["b"])


def test_without_a_choice_it_works_again_as_it_began():
    agent = Agent(options=[MODEL, EFFORT])
    agent.begin("b", "max")
    agent.end()

    agent.begin()

    assert agent.set() == ["a", "low"]
