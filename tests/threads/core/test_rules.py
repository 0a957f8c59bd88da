"""A rule answers the question it names, and none that only resembles it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.core.rules import VALUE_LIMIT, Policy, Rule, in_words, rule_for, same

BASH = {"command": "npm test"}
EDIT = {"file_path": "src/a.py", "old_string": "a", "new_string": "b"}


HEAD = "--- a/src/a.py\n+++ b/src/a.py\n"
# Diffs of src/a.py, by their first lines, that do something else as well.
OTHER_FILES = {
    "renames": f"rename from src/a.py\nrename to b.py\n{HEAD}",
    "renames another": f"{HEAD}diff --git a/b.py b/c.py\nrename from b.py\nrename to c.py\n",
    "copies": f"copy from src/a.py\ncopy to b.py\n{HEAD}",
    "names another by git": f"{HEAD}diff --git a/b.sh b/b.sh\nnew file mode 100755\n",
    "changes another, without a or b": f"{HEAD}--- b.py\n+++ b.py\n",
    "changes another, with a date": f"{HEAD}--- b.py\t2026-01-01\n+++ b.py\t2026-01-02\n",
    "changes another, in quotes": f'{HEAD}--- "a/b\\303.py"\n+++ "b/b\\303.py"\n',
    "another form of patch": "*** Begin Patch\n*** Update File: b.py\n",
    "moves in that form": "*** Update File: src/a.py\n*** Move to: b.py\n",
    "an index of another": f"{HEAD}Index: b.py\n",
    "removes it": "--- a/src/a.py\n+++ /dev/null\n",
    "removes it in that form": "*** Delete File: src/a.py\n",
    "behind a carriage return": f"{HEAD}x\r--- b.py\r",
}


@pytest.mark.parametrize(
    ("tool", "value", "rule"),
    [
        pytest.param("Bash", BASH, Rule("Bash", "command", "npm test"), id="a command"),
        pytest.param(
            "Bash",
            {**BASH, "cwd": "/w", "description": "Tests"},
            Rule("Bash", "command", "npm test", "/w"),
            id="a command in a folder",
        ),
        pytest.param("Edit", EDIT, Rule("Edit", "file", "src/a.py"), id="a file"),
        pytest.param(
            "Write",
            {"file_path": "/tmp/x", "content": "y"},
            Rule("Write", "file", "/tmp/x"),
            id="a new file",
        ),
        pytest.param(
            "Edit",
            {"file_path": "a", "diff": "--- a/a\n+++ b/a\n"},
            Rule("Edit", "file", "a"),
            id="a diff of that file",
        ),
        pytest.param(
            "WebFetch",
            {"url": "https://docs.example/a?b", "prompt": "?"},
            Rule("WebFetch", "host", "https://docs.example"),
            id="a page",
        ),
        pytest.param(
            "mcp__git__log", {"n": 3}, Rule("mcp__git__log", "tool"), id="a tool of a server"
        ),
        pytest.param("Deploy", {"to": "x"}, Rule("Deploy", "input", '{"to":"x"}'), id="any other"),
    ],
)
def test_the_rule_of_a_question(tool, value, rule):
    assert rule_for(tool, value) == rule
    assert rule.value in in_words(rule)
    assert rule.folder in in_words(rule)


@pytest.mark.parametrize(
    ("tool", "value"),
    [
        ("AskUserQuestion", {"questions": []}),
        ("WorkingFolder", {"questions": []}),
        ("ExitPlanMode", {"plan": "x"}),
        ("Permissions", {"permissions": {"network": True}}),
        ("", BASH),
        ("Bash", {"command": "x" * (VALUE_LIMIT + 1)}),
        ("Bash", {"command": "ü" * VALUE_LIMIT}),
        ("Edit", {"file_path": ".git/config", "old_string": "a", "new_string": "b"}),
        ("Write", {"file_path": "/w/sub/.GIT/hooks/pre-commit", "content": "x"}),
        ("Edit", {"file_path": "a", "diff": "--- a/a\n+++ b/.git/config\n"}),
        ("Edit", {"file_path": "a, .git/config", "diff": ""}),
        ("MultiEdit", {"file_path": "a", "edits": [{"file_path": ".git/config"}]}),
        ("Move", {"from": "a", "to": ".git/config"}),
    ],
)
def test_these_questions_offer_no_rule(tool, value):
    assert rule_for(tool, value) is None


@pytest.mark.parametrize(
    ("tool", "value"),
    [
        pytest.param("Bash", {"command": "npm test; rm -rf ~"}, id="more behind it"),
        pytest.param("Bash", {"command": "npm  test"}, id="another blank"),
        pytest.param("Bash", {**BASH, "cwd": "/elsewhere"}, id="in another folder"),
        pytest.param("Bash", {**BASH, "dangerouslyDisableSandbox": True}, id="without its sandbox"),
        pytest.param("Bash", {**BASH, "run_in_background": True}, id="in the background"),
        pytest.param("Bash", {**BASH, "env": {"PATH": "."}}, id="with a variable"),
        pytest.param("Bash", {**BASH, "network": {"host": "x"}}, id="with the network"),
        pytest.param("Shell", BASH, id="by another tool"),
        pytest.param("Edit", {**EDIT, "file_path": "src/../a.py"}, id="another spelling of a path"),
        pytest.param("Edit", {**EDIT, "file_path": "src/a.py, src/b.py"}, id="two files"),
        pytest.param("Edit", {**EDIT, "diff": "--- a/src/a.py\n+++ b/b\n"}, id="moves the file"),
        pytest.param("Edit", {**EDIT, "edits": [{"file_path": "b"}]}, id="an edit elsewhere"),
        pytest.param("Write", EDIT, id="another tool on that file"),
        pytest.param("WebFetch", {"url": "https://u@docs.example/"}, id="with a name before it"),
        pytest.param("WebFetch", {"url": "http://docs.example/"}, id="without encryption"),
        pytest.param("WebFetch", {"url": "https://docs.example.evil/"}, id="a longer host"),
        pytest.param("mcp__git__log_all", {}, id="a longer tool"),
        *[
            pytest.param("Edit", {"file_path": "src/a.py", "diff": diff}, id=name)
            for name, diff in OTHER_FILES.items()
        ],
    ],
)
def test_what_a_rule_does_not_answer(tool, value):
    rules = [
        rule_for("Bash", BASH),
        rule_for("Edit", EDIT),
        rule_for("WebFetch", {"url": "https://docs.example/"}),
        rule_for("mcp__git__log", {}),
    ]

    assert Policy(rules=rules).answers(tool, value) is None


@pytest.mark.parametrize("tool", ["mcp__a__b__c", "mcp__a_", "mcp____b", "mcp__a__", "mcp__a___b"])
def test_a_tool_whose_server_can_t_be_told_from_its_name_is_allowed_with_its_input_only(tool):
    assert rule_for(tool, {"n": 1}).scope == "input"


def test_a_change_that_moves_a_file_is_allowed_with_both_names():
    value = {"file_path": "a.py", "diff": "--- a/a.py\n+++ b/b.py\n@@\n"}

    rule = rule_for("Edit", value)

    assert rule.scope == "input"
    assert "a.py" in in_words(rule)
    assert "b.py" in in_words(rule)


def test_a_rule_for_a_command_says_in_which_folder():
    assert "in the working folder" in in_words(rule_for("Bash", BASH))
    assert "in /elsewhere" in in_words(rule_for("Bash", {**BASH, "cwd": "/elsewhere"}))


@pytest.mark.parametrize(
    ("stored", "tool", "value"),
    [
        pytest.param(
            Rule("Bash", "command", "npm test"), "Bash", {**BASH, "cwd": "/w"}, id="any folder"
        ),
        pytest.param(
            Rule("Edit", "file", "src/a.py"),
            "Edit",
            {"file_path": "src/a.py", "diff": OTHER_FILES["renames"]},
            id="a file that is moved",
        ),
        pytest.param(
            Rule("Edit", "file", ".git/config"),
            "Edit",
            {"file_path": ".git/config", "old_string": "a", "new_string": "b"},
            id="git's own folder",
        ),
        pytest.param(Rule("mcp__a__b__c", "tool"), "mcp__a__b__c", {}, id="a tool of two servers"),
    ],
)
def test_a_rule_that_was_wider_when_it_was_made_has_become_narrower(stored, tool, value):
    assert Policy(rules=[stored]).answers(tool, value) is None


@pytest.mark.parametrize(
    ("policy", "tool", "by"),
    [
        pytest.param(Policy(), "Bash", None, id="nothing allowed"),
        pytest.param(Policy(is_eased=True), "Bash", "level", id="U-M auto: never asks"),
        pytest.param(Policy(is_eased=True), "AskUserQuestion", None, id="a question stays one"),
        pytest.param(Policy(is_eased=True), "WorkingFolder", None, id="their files stay theirs"),
        pytest.param(Policy(is_eased=True), "ExitPlanMode", None, id="a plan waits for a person"),
        pytest.param(
            Policy(rules=[rule_for("Bash", BASH)]), "Bash", rule_for("Bash", BASH), id="by a rule"
        ),
        pytest.param(
            Policy(is_plan=True, is_eased=True, rules=[rule_for("Bash", BASH)]),
            "Bash",
            None,
            id="U-M plan: nothing is allowed beforehand",
        ),
    ],
)
def test_what_needs_nobody(policy, tool, by):
    assert policy.answers(tool, BASH) == by
    assert policy.answers(tool, BASH, is_forced=True) is None


@pytest.mark.parametrize(
    ("policy", "by"),
    [
        pytest.param(Policy(rules=[rule_for("Bash", BASH)]), None, id="no rule"),
        pytest.param(Policy(earlier=[same("Bash", BASH)]), None, id="no answer to a lost question"),
        pytest.param(Policy(is_eased=True), "level", id="but the level"),
    ],
)
def test_what_is_only_described_may_be_another_call_of_the_same_look(policy, by):
    assert policy.answers("Bash", BASH, is_known=False) == by


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = ["command", "cwd", "file_path", "diff", "edits", "url", "x"]


@given(
    st.sampled_from(["Bash", "Edit", "WebFetch", "mcp__a__b", "X", "Permissions"]),
    st.dictionaries(st.sampled_from(KEYS), JSON) | JSON,
)
def test_any_input_has_a_rule_that_answers_itself_or_none(tool, value):
    rule = rule_for(tool, value)

    assert Policy(rules=[rule] if rule else []).answers(tool, value) == rule


@pytest.mark.parametrize(
    ("tool", "value"),
    [
        pytest.param("Tool", {"city": "Rome"}, id="its tool is not named"),
        pytest.param("weather", {"title": "Rome"}, id="only a title says what is done"),
    ],
)
def test_a_call_that_nothing_identifies_makes_no_rule(tool, value):
    assert rule_for(tool, value) is None
