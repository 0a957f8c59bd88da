"""An agent that a person brings along is known by its program or its package."""

import pytest

from agents.harness import with_agents
from mesh.agent_programs import known_agents, load, recognize
from mesh.agent_programs.registry import read_agent
from mesh.develop import ROOT
from sandboxes.daemon.env import child_env
from tests.harness.driver import turn

GOOD = {"title": "Parrot", "names": ["parrot"], "sign_in": "Run parrot login {where}."}


@pytest.mark.parametrize(
    ("command", "title"),
    [
        pytest.param("goose acp", "goose", id="by name"),
        pytest.param("/opt/goose/bin/goose acp", "goose", id="by path"),
        pytest.param("claude-agent-acp", "Claude Code (ACP)", id="of the catalog"),
        pytest.param("npx -y @augmentcode/auggie --acp", "Auggie", id="npx"),
        pytest.param("npx @augmentcode/auggie@0.15.0 --acp", "Auggie", id="a version"),
        pytest.param("npx -p @augmentcode/auggie auggie", "Auggie", id="an option's package"),
        pytest.param("npx --package=cline cline --acp", "Cline", id="with an equals sign"),
        pytest.param("npx -y @google/gemini-cli@latest", "Gemini CLI", id="catalog by npx"),
        pytest.param("uvx --python 3.12 openhands acp", "OpenHands", id="uvx"),
        pytest.param("uvx --from kimi-cli==1.2 kimi acp", "Kimi CLI", id="uvx from"),
        pytest.param("npx @xai-official/grok@1.0.30 agent stdio", "Grok Build", id="a scope"),
        pytest.param("./bin/devin acp", "Devin", id="in a folder"),
        pytest.param("uvx hermes-agent[acp]", "Hermes Agent", id="extras"),
        pytest.param("python3.12 -m deepagents_acp", "Deep Agents", id="a module"),
        pytest.param("python -m openhands.cli acp", "OpenHands", id="a module in a package"),
        pytest.param("npx goose", None, id="a package of the program's name, but another's"),
        pytest.param("npx -y", None, id="npx of nothing"),
        pytest.param("npx evil @augmentcode/auggie", None, id="a package as an argument"),
        pytest.param("npx ./@augmentcode/auggie", None, id="a path"),
        pytest.param("python agent.py openhands", None, id="a script"),
        pytest.param("sh -c goose", None, id="a shell"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_what_a_command_starts(command, title):
    known = recognize(command.split())

    assert (known.title if known else None) == title


def test_each_program_and_package_is_named_once():
    names = [name for agent in known_agents() for name in {*agent.names, *agent.packages}]
    names += [name for each in load() for name in {each.name, each.npm, each.pypi} if name]

    assert sorted(set(names)) == sorted(names)


def test_the_page_lists_them():
    page = (ROOT / "docs/agents.md").read_text()

    assert [agent.title for agent in known_agents() if agent.title not in page] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"environment": ["MESH_HOME"]}, "MESH_HOME", id="a variable of ours"),
        pytest.param({"environment": ["*"]}, "no agent's variable", id="all variables"),
        pytest.param({"environment": [7]}, "no agent's variable", id="no text"),
        pytest.param({"colour": "green"}, "colour", id="an unknown key"),
    ],
)
def test_a_mistake_is_told(change, why):
    with pytest.raises(ValueError, match=why):
        read_agent(GOOD | change)


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        pytest.param(["unknown", "--acp"], {"MY_KEY"}, id="unknown: what was named"),
        pytest.param(["kimi", "acp"], {"MY_KEY", "KIMI_API_KEY"}, id="known: its own, too"),
    ],
)
def test_what_an_agent_that_was_brought_along_is_started_with(command, seen):
    parent = dict.fromkeys(("MY_KEY", "KIMI_API_KEY", "ANTHROPIC_API_KEY", "MESH_HOME"), "x")
    adapter = with_agents({"mine": command}, {"mine": ["MY_KEY"]})["acp:mine"]()

    start = adapter.launch(turn("hi"))

    argv = (start.program, *start.args)
    assert child_env(parent, {}, command=argv, named=start.variables).keys() == seen
