"""A kind of question that asks for more than a yes or no is known wherever it has to be."""

import re
from pathlib import Path

import pytest

from agents.harness.questions import CARDS, PLAN_READY, QUESTION, WORKING_FOLDER
from threads.core.rules import UNRULED, is_permission, rule_for

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "mesh/static/mesh"
# Which kinds a harness can ask: ACP has no word for either, and Codex shows its plan as text.
ASKED_BY = {
    "acp": {QUESTION},
    "claude_code": {PLAN_READY, QUESTION},
    "codex": {QUESTION},
    "decopilot": {PLAN_READY, QUESTION},
}
NAMES = {"PLAN_READY": PLAN_READY, "QUESTION": QUESTION}


def table(script, name):
    """Return an object of texts that a module of the pages declares."""
    body = re.search(rf"(?:const {name} =|{name} =) {{(.*?)}}", (SCRIPTS / script).read_text())
    return dict(re.findall(r'(\w+): "([^"]*)"', body[1]))


def test_the_page_knows_each_kind():
    assert table("chat.js", "KINDS") == CARDS


def test_each_card_has_a_title_a_picture_and_a_place():
    kinds = {"permission", *CARDS.values()}

    assert table("approvals.js", "TITLES").keys() == kinds
    assert table("approvals.js", "picture").keys() == kinds
    ranks = re.search(r"const RANKS = \[(.*?)\]", (SCRIPTS / "chat.js").read_text())
    assert set(re.findall(r'"(\w+)"', ranks[1])) == kinds


@pytest.mark.parametrize("tool", CARDS)
def test_no_rule_and_no_level_answers_it(tool):
    assert not is_permission(tool)
    assert tool in UNRULED
    assert rule_for(tool, {}) is None


@pytest.mark.parametrize("harness", ASKED_BY)
def test_each_adapter_asks_the_kinds_that_it_can(harness):
    texts = [path.read_text() for path in (ROOT / "agents/harness" / harness).glob("*.py")]
    names = {name for name in NAMES if any(re.search(rf"\b{name}\b", text) for text in texts)}

    assert {NAMES[name] for name in names} == ASKED_BY[harness]


def test_every_kind_is_asked_by_somebody():
    by_mesh = {WORKING_FOLDER}  # before the agent gets the message
    assert set(NAMES.values()) | by_mesh == set(CARDS)
    assert set().union(*ASKED_BY.values()) | by_mesh == set(CARDS)
