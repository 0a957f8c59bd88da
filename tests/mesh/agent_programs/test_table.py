"""What ships is right; and a mistake in it is told when it is read."""

import re
from pathlib import Path

import pytest

from agents.catalog import load_catalog
from agents.core.options import DECOPILOT
from agents.harness import ADAPTERS
from links.wire.messages import needed_for, parse_capabilities
from mesh.agent_programs import entries, load
from mesh.agent_programs.table import POLICIES, read_programs

ICONS = Path(__file__).parents[3] / "templates/_partials/icons.html"
GOOD = {
    "kind": "acp:parrot",
    "title": "Parrot",
    "needs": "capability",
    "program": {
        "name": "parrot",
        "probe": {"ask": ["--version"], "judge": "starts"},
        "acp": {"arguments": ["acp"]},
    },
}


def test_what_ships_has_a_program_and_an_adapter_for_each_local_agent():
    assert [each.kind for each in load()] == [kind.kind for kind in load_catalog() if kind.is_local]
    assert {each.kind for each in load()} == set(ADAPTERS)


def test_every_icon_of_the_catalog_is_one_of_the_pages():
    symbols = set(re.findall(r'id="i-([\w-]+)"', ICONS.read_text()))

    used = {kind.symbol for kind in load_catalog()}
    used |= {tier.icon for kind in load_catalog() for tier in kind.tiers}
    assert used <= symbols


def test_what_a_machine_says_of_each_agent_is_understood():
    """Also an older machine, which knows fewer: no name may ever change."""
    names = [each.kind for each in load() if each.probe]

    assert {"claude-code", "codex", "acp:gemini", "acp:opencode"} <= set(names)
    assert parse_capabilities(names) == tuple(names)
    assert [needed_for(name) for name in names] == names
    assert needed_for("demo") is None


def test_people_are_not_shown_programs():
    assert all("program" not in entry for entry in entries())
    assert entries()[0]["kind"] == DECOPILOT


def test_programs_are_pointed_to_each_policy_that_ships_and_to_no_other_file():
    acp = [program.acp for program in load() if program.acp]
    named = {value for each in acp for value in (each.careful | each.planning).values()}
    named |= {word for each in acp for word in each.careful_arguments}

    assert {value for value in named if value.startswith(str(POLICIES))} == {
        str(path) for path in POLICIES.iterdir()
    }


def changed(**changes):
    return GOOD | {"program": GOOD["program"] | changes}


OWN = {"key": "mcp", "settings": ["a.json"], "without": "--without"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        pytest.param(GOOD | {"kind": "acp:Parrot"}, "a name of", id="an odd kind"),
        pytest.param(GOOD | {"kind": "parrot"}, "acp:", id="ACP without its prefix"),
        pytest.param(changed(acp=None), "acp:", id="the prefix without ACP"),
        pytest.param(changed(name="/bin/parrot"), "plain file name", id="a path"),
        pytest.param(changed(npm="parrot"), "npm_version", id="no version"),
        pytest.param(changed(speed=1), "speed", id="a word that is none of ours"),
        pytest.param(changed(environment=["MESH_TOKEN"]), "MESH_TOKEN", id="our variable"),
        pytest.param(changed(withheld=["*"]), "variable", id="every variable"),
        pytest.param(changed(folders=["/opt"]), "below the home", id="a folder of all"),
        pytest.param(changed(probe={"ask": [], "judge": "x"}), "judge", id="an unknown judge"),
        pytest.param(changed(acp={"arguments": [], "careful": {"A": 1}}), "texts", id="a number"),
        pytest.param(
            changed(acp={"arguments": [], "levels": {"yolo": {"mode": "a"}}}),
            "levels is a table",
            id="an unknown level",
        ),
        pytest.param(
            changed(acp={"arguments": [], "levels": {"plan": {}}}),
            "levels.plan names",
            id="a level that sets nothing",
        ),
        pytest.param(
            changed(acp={"arguments": [], "levels": {"plan": {"mode": 1}}}),
            "levels.plan names",
            id="a level that sets a number",
        ),
        pytest.param(
            changed(acp={"arguments": [], "careful_session": "x"}), "a table", id="metadata as text"
        ),
        pytest.param(
            changed(acp={"arguments": [], "own_servers": {"key": "mcp", "settings": ["a.json"]}}),
            "has one of only, without and off",
            id="servers that can't be left out",
        ),
        pytest.param(
            changed(acp={"arguments": [], "own_servers": OWN | {"off": "ITS_SETTINGS"}}),
            "has one of only, without and off",
            id="servers that are left out in two ways",
        ),
        pytest.param(
            changed(acp={"arguments": [], "own_servers": OWN | {"waits_in": "spring"}}),
            "waits_in must be one of",
            id="servers that are waited for at no known time",
        ),
        pytest.param(
            changed(acp={"arguments": [], "own_servers": {"key": "mcp", "only": "--only"}}),
            "settings",
            id="servers that stand nowhere",
        ),
        pytest.param(GOOD | {"program": {"name": "parrot"}}, "probe", id="no probe"),
    ],
)
def test_a_mistake_is_named(entry, words):
    with pytest.raises(ValueError, match=words):
        read_programs([entry])


def test_a_good_entry_is_read():
    assert read_programs([GOOD])[0].acp.arguments == ("acp",)


def test_no_two_agents_have_one_program():
    with pytest.raises(ValueError, match="each name may appear only once"):
        read_programs([GOOD, GOOD | {"kind": "acp:polly"}])
