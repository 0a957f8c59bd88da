"""Which MCP servers a person's own settings turn on. Real files."""

from __future__ import annotations

import json
import os

import pytest

from mesh.agent_programs import OwnServers, load
from mesh.agent_programs.own_servers import find, is_taken

PLACES = (".agent/settings.json", "$AGENT_HOME/settings.json", "$AGENT_FILE", "./agent.json")
OWN = OwnServers(key="mcp", settings=PLACES, only="--only")
SERVER = {"command": "x"}


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home/.agent").mkdir(parents=True)
    (tmp_path / "folder").mkdir()
    return tmp_path / "home"


@pytest.fixture
def found(home):
    def read(own=OWN, **environ):
        return tuple(find(own, {"HOME": str(home)} | environ, home.parent / "folder"))

    return read


def write(path, servers):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"mcp": servers}))


def test_what_ships_says_for_which_servers_a_program_waits():
    waiting = {each.kind for each in load() if each.acp and each.acp.own_servers}

    assert waiting == {"acp:gemini", "acp:opencode", "acp:copilot"}


def test_servers_of_all_its_settings_are_named_once(home, found):
    folder = home.parent
    write(home / ".agent/settings.json", {"one": SERVER, "two": SERVER})
    write(folder / "other/settings.json", {"three": SERVER})
    write(folder / "file.json", {"four": SERVER})
    write(folder / "folder/agent.json", {"two": SERVER, "five": SERVER})

    environ = {"AGENT_HOME": str(folder / "other"), "AGENT_FILE": str(folder / "file.json")}
    assert found(**environ) == ("one", "two", "three", "four", "five")
    assert found() == ("one", "two", "five")


def test_a_server_is_another_one_once_its_settings_say_something_else(home):
    def read():
        return find(OWN, {"HOME": str(home)}, home.parent / "folder")["one"]

    write(home / ".agent/settings.json", {"one": SERVER | {"env": {"KEY": "sk-secret"}}})
    before = read()
    assert read() == before
    assert "secret" not in before
    write(home / ".agent/settings.json", {"one": SERVER | {"env": {"KEY": "sk-other"}}})
    assert read() != before


def test_one_that_is_turned_off_is_not_named(home, found):
    write(
        home / ".agent/settings.json",
        {
            "off": SERVER | {"enabled": False},
            "disabled": SERVER | {"disabled": True},
            "on": SERVER | {"enabled": True},
            "off here": SERVER,
        },
    )
    write(home.parent / "folder/agent.json", {"off here": {"enabled": False}})

    assert found() == ("on",)


@pytest.mark.parametrize(
    "text",
    [
        '{"mcp": {"one": {"url": "https://x/*y*/"}}}',
        '// note\n{"mcp": /* here */ {"one": {"url": "http://x//y",},},}\n',
        '\ufeff{"mcp": {"one": {"text": "a \\" // b, }"}, // last\n}}',
    ],
)
def test_comments_and_commas_too_many_are_no_obstacle(home, found, text):
    (home / ".agent/settings.json").write_text(text)

    assert found() == ("one",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"mcp": []}',
        '{"mcp": {"one": "text"}}',
        '{"mcp": {"": {}, "li\\u0000ne": {}, "two\\nlines": {}}}',
        '{"mcp": {"' + "x" * 101 + '": {}}}',
        "[" * 100_000,
        '"' + "\\" * 100_000,
        "/* " * 300_000,
        ",//" * 300_000,
        ', /* " */' * 100_000,
    ],
)
def test_settings_that_are_none_name_none(home, found, text):
    (home / ".agent/settings.json").write_text(text)

    assert found() == ()


def test_a_pipe_in_their_place_is_not_waited_for(home, found):
    os.mkfifo(home / ".agent/settings.json")

    assert found() == ()


def test_a_variable_of_the_person_s_own_is_not_replaced():
    own = OwnServers(key="mcp", settings=PLACES, off="AGENT_CONTENT")

    assert is_taken(own, {"AGENT_CONTENT": '{"model": "mine"}'})
    assert not is_taken(own, {"AGENT_CONTENT": " "})
    assert not is_taken(own, {})
    assert not is_taken(OWN, {"": "x"})


def test_without_a_home_only_the_other_places_count(home):
    write(home / ".agent/settings.json", {"one": SERVER})
    write(home.parent / "folder/agent.json", {"two": SERVER})

    assert list(find(OWN, {}, home.parent / "folder")) == ["two"]
