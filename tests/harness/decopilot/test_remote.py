"""Tools of MCP servers: their names, their schemas, what they give, and what is left out."""

from __future__ import annotations

import re
from types import SimpleNamespace as Said

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.decopilot import remote
from agents.harness.decopilot.memory import Image
from agents.harness.decopilot.remote import (
    checked_remote,
    name_of,
    read_result,
    tools_of,
    without_secrets,
)
from agents.harness.decopilot.tools import BadCall, permission
from agents.harness.mcp import McpServer


def listed(name="greet", schema=None, description="Greet.", **hints):
    annotations = Said(**hints) if hints else None
    return Said(
        name=name,
        description=description,
        input_schema={"type": "object"} if schema is None else schema,
        annotations=annotations,
    )


def result(*blocks, structured=None):
    return Said(content=list(blocks), structured_content=structured, is_error=False)


@pytest.mark.parametrize(
    ("hints", "permissions"),
    [
        ({}, ["ask", "ask", "block"]),
        ({"read_only_hint": True}, ["run", "run", "run"]),
        ({"read_only_hint": None}, ["ask", "ask", "block"]),
        ({"read_only_hint": "true"}, ["ask", "ask", "block"]),
    ],
)
def test_only_what_says_exactly_that_it_reads_is_not_asked_for(hints, permissions):
    """U-M"""
    tool = tools_of("s", [listed(**hints)])[0]

    found = [
        permission(tool, level=level, planning=planning)
        for level, planning in (("readonly", False), ("?", False), ("auto", True))
    ]
    assert found == permissions
    assert permission(tool, level="auto", planning=False) == "run"


@given(st.from_regex(r"[a-z][a-z0-9_-]{0,39}", fullmatch=True), st.text(min_size=1, max_size=90))
def test_any_name_becomes_one_that_every_provider_takes(server, tool):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name_of(server, tool))


def test_two_names_stay_two():
    long = "a" * 70
    names = ["x.y", "x/y", "x_y", long + "1", long + "2"]

    assert len({name_of("server", name) for name in names}) == len(names)
    assert name_of("server", "x_y") == "mcp__server__x_y"


def test_what_no_model_takes_is_left_out():
    huge = {"type": "object", "description": "x" * remote.SCHEMA_LIMIT}
    nan = {"type": "object", "default": float("nan")}
    odd = [
        listed("a", schema=huge),
        listed("n", schema=nan),
        listed(""),
        listed("b", schema="?"),
        listed("b"),
    ]

    assert [(tool.name, tool.schema) for tool in tools_of("s", odd)] == [
        ("mcp__s__b", {"type": "object"})
    ]
    assert len(tools_of("s", [listed(f"t{n}") for n in range(500)])) == remote.TOOLS_LIMIT


def test_a_call_takes_an_object_of_a_sensible_size():
    tool = tools_of("s", [listed()])[0]

    assert checked_remote(tool, {"any": ["thing"]}) == {"any": ["thing"]}
    for bad in ("text", [1], {"x": "y" * remote.INPUT_LIMIT}):
        with pytest.raises(BadCall):
            checked_remote(tool, bad)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (result(Said(type="text", text="a"), Said(type="text", text="b")), ("a\nb", None)),
        (
            result(Said(type="image", mime_type="image/png", data="aGk=")),
            ("", Image("image/png", b"hi")),
        ),
        (result(Said(type="image", mime_type="image/png", data="!")), ("(image left out)", None)),
        (result(Said(type="audio")), ("(audio left out)", None)),
        (result(Said(type="resource_link", name="n", uri="file:///x")), ("n: file:///x", None)),
        (result(Said(type="resource", resource=Said(uri="u", text="t"))), ("t", None)),
        (result(Said(type="resource", resource=Said(uri="u"))), ("(u is no text.)", None)),
        (result(structured={"n": 1}), ('{"n": 1}', None)),
        (result(), ("", None)),
    ],
)
def test_what_a_call_gave_is_read(said, read):
    assert read_result(said) == read


def test_a_server_s_words_lose_what_was_sent_to_it():
    server = McpServer("s", "https://s.example", {"Authorization": "Bearer t0ken-abc", "X": "1"})

    said = "no: Bearer t0ken-abc, t0ken-abc, 1"
    assert without_secrets(said, server) == "no: …, …, 1"
