from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.harness.acp.session import MODE, MODEL, MOST, SessionFacts
from tests.examples import up_to


def select(option_id, category, current, *values):
    options = [{"value": value, "name": value.title()} for value in values]
    return {
        "id": option_id,
        "name": option_id,
        "category": category,
        "type": "select",
        "currentValue": current,
        "options": options,
    }


def opened(**result):
    facts = SessionFacts()
    facts.open(result)
    return facts


def test_models_efforts_and_modes_come_from_the_options():
    facts = opened(
        configOptions=[
            select("m", "model", "big", "small", "big"),
            select("e", "thought_level", "low", "low", "high"),
            select("o", "mode", "ask", "ask"),
        ]
    )

    offered = facts.offered()

    assert [(each["id"], each["current"]) for each in offered["models"]] == [
        ("small", False),
        ("big", True),
    ]
    assert [each["title"] for each in offered["efforts"]] == ["Low", "High"]
    assert [each["id"] for each in offered["modes"]] == ["ask"]


def test_an_agent_without_options_has_modes_and_models_of_their_own():
    modes = {"currentModeId": "a", "availableModes": [{"id": "a", "name": "Ask"}, {"id": "b"}]}
    models = {"currentModelId": "x", "availableModels": [{"modelId": "x", "name": "X"}]}

    offered = opened(modes=modes, models=models).offered()

    assert [each["title"] for each in offered["modes"]] == ["Ask", "b"]
    assert offered["models"][0] == {"id": "x", "title": "X", "description": "", "current": True}


def test_the_values_of_groups_are_one_list():
    option = select("m", "model", "a")
    option["options"] = [
        {"group": "one", "name": "One", "options": [{"value": "a", "name": "A"}]},
        {"group": "two", "name": "Two", "options": [{"value": "b", "name": "B"}]},
    ]

    found = opened(configOptions=[option]).find_option(MODEL)

    assert found is not None
    assert [choice.value for choice in found.choices] == ["a", "b"]
    assert found.accepts("b")
    assert not found.accepts("c")


def test_an_option_that_is_on_or_off_has_no_choices():
    fast = {"id": "fast", "name": "Fast", "type": "boolean", "currentValue": False}

    option = opened(configOptions=[fast]).options["fast"]

    assert (option.value, option.choices, option.accepts(True)) == (False, (), True)


@pytest.mark.parametrize(
    ("update", "is_news"),
    [
        pytest.param(
            {"sessionUpdate": "current_mode_update", "currentModeId": "b"}, True, id="mode"
        ),
        pytest.param(
            {"sessionUpdate": "current_mode_update", "currentModeId": "a"}, False, id="same mode"
        ),
        pytest.param(
            {
                "sessionUpdate": "available_commands_update",
                "availableCommands": [{"name": "/init", "description": "Begin"}],
            },
            True,
            id="commands",
        ),
        pytest.param(
            {"sessionUpdate": "config_option_update", "configOptions": "odd"}, False, id="odd"
        ),
        pytest.param({"sessionUpdate": "plan"}, False, id="something else"),
    ],
)
def test_an_update_says_whether_there_is_news(update, is_news):
    facts = opened(modes={"currentModeId": "a", "availableModes": [{"id": "a"}, {"id": "b"}]})

    assert facts.take(update) is is_news


def test_a_command_has_a_name_without_its_slash_and_a_hint():
    command = {"name": "/review", "description": "Look", "input": {"hint": "what"}}

    facts = opened(availableCommands=[command, {"name": 3}, {}])

    assert facts.commands == [{"name": "review", "description": "Look", "hint": "what"}]


def test_no_more_is_kept_than_a_page_can_show():
    facts = opened(availableCommands=[{"name": f"c{n}"} for n in range(MOST + 1)])

    assert len(facts.commands) == MOST


KEYS = ("id", "name", "category", "currentValue", "options", "value", "group", "modes", "models")
MORE = ("availableModes", "currentModeId", "configOptions", "availableCommands", "input", "hint")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([MODE, MODEL, "a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS + MORE), inner, max_size=6)
    ),
    max_leaves=15,
)


@settings(max_examples=up_to(200), deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS + MORE), values, max_size=6))
def test_whatever_is_said_what_is_offered_has_one_form(result):
    offered = opened(**result).offered()

    for name in ("models", "efforts", "modes"):
        for each in offered.get(name, []):
            assert each["id"]
            assert isinstance(each["title"], str)
