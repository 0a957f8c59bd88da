"""What is a command, and what only looks like one."""

from __future__ import annotations

import pytest

from agents.harness import commands
from tests.harness.driver import turn

NAMES = frozenset({"init", "memory", "memory show"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("/init", True, id="alone"),
        pytest.param("/init now\nplease", True, id="with arguments"),
        pytest.param("/memory show all", True, id="of two words"),
        pytest.param("/initial", False, id="only the beginning of one"),
        pytest.param("/etc/hosts is broken", False, id="a path"),
        pytest.param("/", False, id="a slash alone"),
        pytest.param("run /init", False, id="in the middle"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_only_an_announced_command_is_one(text, expected):
    assert commands.is_command(text, NAMES) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("/init", True), ("/a:b c", True), ("/etc/hosts", False), ("/Ü", False), ("hi /init", False)],
)
def test_a_path_is_no_command_of_anybody(text, expected):
    assert commands.may_be_command(text) is expected


def test_what_is_no_command_is_sent_as_words():
    spoken = commands.spoken(turn("/etc/hosts is broken"), NAMES)

    assert spoken.prompt == "<message>\n/etc/hosts is broken\n</message>"


@pytest.mark.parametrize("text", ["/init", "hello", ""])
def test_anything_else_is_sent_as_it_is(text):
    assert commands.spoken(turn(text), NAMES).prompt == text


def test_lists_are_cut_and_what_is_not_a_command_is_left_out():
    listed = [{"name": "/init", "description": "x" * 900, "input": {"hint": "what"}}]
    listed += [{"name": 5}, {"name": "__inner"}, *({"name": f"c{n}"} for n in range(300))]

    found = commands.commands_in(listed)

    assert found[0] == {"name": "init", "description": "x" * commands.LONGEST, "hint": "what"}
    assert [each["name"] for each in found[1:3]] == ["c0", "c1"]
    assert len(found) <= commands.MOST


def test_a_command_is_known_by_its_other_names_too():
    assert commands.names_in([{"name": "usage", "aliases": ["cost", 3]}]) == {"usage", "cost"}
