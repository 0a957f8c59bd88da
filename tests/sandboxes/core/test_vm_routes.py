"""The routes that are passed on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.core.vm_routes import parse_rest


@pytest.mark.parametrize(
    ("rest", "branch", "route"),
    [
        ("main/read", "main", "read"),
        ("deco/quiet-otter/write", "deco/quiet-otter", "write"),
        ("main/exec/dev", "main", "exec/dev"),
        ("main/exec/dev/kill", "main", "exec/dev/kill"),
        ("a/exec/b/exec/dev", "a/exec/b", "exec/dev"),
        ("main/setup/clone", "main", "setup/clone"),
        ("read/read", "read", "read"),
    ],
)
def test_a_branch_and_what_is_asked(rest, branch, route):
    asked = parse_rest(rest)
    assert (asked.branch, asked.route) == (branch, route)
    assert asked.rule is not None


@pytest.mark.parametrize("rest", ["main/bash", "main/dispatch", "main/runs/r1", "main/../read/x"])
def test_what_nobody_may_ask(rest):
    assert parse_rest(rest).rule is None


@pytest.mark.parametrize("rest", ["", "read", "/", "/read", "main/"])
def test_without_branch_or_route(rest):
    assert parse_rest(rest) is None


@given(rest=st.text("abc/readconfig", max_size=40))
def test_any_rest_is_read(rest):
    asked = parse_rest(rest)
    assert asked is None or f"{asked.branch}/{asked.route}" == rest
