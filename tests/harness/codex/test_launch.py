from __future__ import annotations

from dataclasses import replace

import pytest

from agents.harness.base import PLAN, GitFolders
from agents.harness.codex import launch
from tests.harness.driver import turn

READONLY = {"toolApprovalLevel": "readonly"}
TABLE = [
    pytest.param({}, False, "on-request", id="auto"),
    pytest.param(READONLY, True, "on-request", id="ask before edit"),
    pytest.param({"toolApprovalLevel": "of next year"}, True, "on-request", id="unknown level"),
    pytest.param({"mode": PLAN}, True, "never", id="plan at auto"),
    pytest.param({"mode": PLAN} | READONLY, True, "never", id="plan at readonly"),
]


@pytest.mark.parametrize(("changes", "is_read_only", "policy"), TABLE)
def test_sandbox_and_approvals_by_level_and_mode(changes, is_read_only, policy):
    given = turn("hi", **changes)

    thread = launch.thread(given)

    assert launch.is_read_only(given) is is_read_only
    assert thread["approvalPolicy"] == policy
    assert thread["approvalsReviewer"] == "user"
    assert thread.get("permissions") == ("mesh" if is_read_only else None)
    assert thread.get("sandbox") == (None if is_read_only else "workspace-write")
    assert launch.start(given, thread_id="t", model="m")["approvalPolicy"] == policy


@pytest.mark.parametrize(("changes", "is_read_only", "policy"), TABLE)
def test_the_profile_is_the_programs_from_its_start(changes, is_read_only, policy):
    args = launch.launch(turn("hi", **changes)).args

    assert args[0] == "app-server"
    assert ('default_permissions="mesh"' in args) is is_read_only


def test_another_sandbox_needs_another_process_another_mode_does_not():
    auto, readonly = turn("hi"), turn("hi", **READONLY)
    plan = turn("hi", mode=PLAN, **READONLY)

    assert launch.key(auto) != launch.key(readonly)
    assert launch.key(readonly) == launch.key(plan)


def test_other_instructions_need_another_process():
    pirate = turn("hi", agent={"id": "a", "instructions": "Speak like a pirate."})

    assert launch.key(pirate) != launch.key(turn("hi"))
    assert launch.thread(pirate)["developerInstructions"] == "Speak like a pirate."


@pytest.mark.parametrize(("mode", "codex"), [("default", "default"), (PLAN, "plan")])
def test_each_turn_names_the_mode_and_the_threads_model(mode, codex):
    given = turn("hi", mode=mode, models={})

    said = launch.start(given, thread_id="t", model="gpt-5.5")["collaborationMode"]

    assert (said["mode"], said["settings"]["model"]) == (codex, "gpt-5.5")


def message(*parts):
    return turn(messages=[{"id": "m", "role": "user", "parts": list(parts)}])


IMAGE = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AAAA"}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        pytest.param([{"type": "text", "text": "hi"}], [("text", "hi")], id="text"),
        pytest.param([IMAGE], [("image", None)], id="an image"),
        pytest.param([{"type": "text", "text": " "}], [("text", "(nothing)")], id="nothing"),
        pytest.param(
            [{"type": "file", "filename": "a.txt", "mediaType": "text/plain", "url": "data:,hi"}],
            [("text", "a.txt:\n\nhi")],
            id="a text file",
        ),
        pytest.param(
            [{"type": "file", "mediaType": "image/png", "url": "https://mesh.example/a.png"}],
            [("text", "[a file could not be read: it is not part of the message]")],
            id="an image elsewhere",
        ),
    ],
)
def test_what_the_person_said(parts, said):
    given = launch.user_input(message(*parts))

    assert [(each["type"], each.get("text")) for each in given] == said


@pytest.mark.parametrize(("changes", "is_read_only", "policy"), TABLE)
def test_a_model_that_may_not_write_is_told_how_to_ask(changes, is_read_only, policy):
    agent = {"id": "a", "instructions": "Speak like a pirate."}

    told = launch.thread(turn("hi", agent=agent, **changes))["developerInstructions"]

    assert told.startswith("Speak like a pirate.")
    assert (launch.ASKING in told) is is_read_only


def committing(settings, **changes):
    git = GitFolders(("/p/.git/worktrees/repo",), ("/p/.git/worktrees/repo/mesh",))
    return launch.thread(replace(turn("hi", **changes), folder="/sandbox/repo", git=git), settings)


def test_at_auto_a_commit_can_be_made_but_not_what_git_runs():
    thread = committing({})

    assert (thread["permissions"], "sandbox" in thread) == ("mesh-commits", False)
    profile = thread["config"]["permissions"]["mesh-commits"]
    assert profile["filesystem"]["/p/.git/worktrees/repo"] == "write"
    assert profile["filesystem"]["/p/.git/worktrees/repo/mesh"] == "read"
    assert profile["filesystem"][":workspace_roots"][".git"] == "read"
    assert "network" not in profile


def test_the_persons_settings_for_the_sandbox_still_count():
    own = {"writable_roots": ["/data"], "network_access": True, "exclude_slash_tmp": True}

    profile = committing({"sandbox_workspace_write": own})["config"]["permissions"]["mesh-commits"]

    assert (profile["filesystem"]["/data"], profile["filesystem"]["/data/.git"]) == (
        "write",
        "read",
    )
    assert ":slash_tmp" not in profile["filesystem"]
    assert profile["network"] == {"enabled": True}


def test_a_clone_writes_its_own_git_directory():
    git = GitFolders(("/sandbox/repo/.git",), ("/sandbox/repo/.git/hooks",))
    thread = launch.thread(replace(turn("hi"), folder="/sandbox/repo", git=git), {})

    files = thread["config"]["permissions"]["mesh-commits"]["filesystem"]
    assert ".git" not in files[":workspace_roots"]
    assert (files["/sandbox/repo/.git"], files["/sandbox/repo/.git/hooks"]) == ("write", "read")


def test_where_a_person_is_asked_nothing_is_written():
    assert committing({}, **READONLY)["permissions"] == "mesh"


def test_without_the_persons_settings_the_programs_own_sandbox_counts():
    assert committing(None)["sandbox"] == "workspace-write"
