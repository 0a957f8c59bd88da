"""How the program is started, and what it is told."""

from __future__ import annotations

import base64
import json

import pytest

from agents.harness.claude_code.launch import key, launch, user_line
from tests.harness.driver import turn


def option(args, name):
    """Return the value of ``--name=value``."""
    found = [arg.partition("=")[2] for arg in args if arg.startswith(f"--{name}=")]
    return found[0] if found else None


def test_the_usual_start():
    given = launch(turn())

    assert given.program == "claude"
    assert given.args[0] == "-p"
    assert option(given.args, "model") == "sonnet"
    assert option(given.args, "permission-mode") == "default"
    assert json.loads(option(given.args, "settings"))["permissions"].keys() == {"allow"}
    assert option(given.args, "resume") is None
    assert "AskUserQuestion" not in option(given.args, "disallowedTools")
    assert "ExitPlanMode" in option(given.args, "disallowedTools")
    assert given.env["DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize("mode", ["default", "plan"])
def test_readonly_asks_whatever_the_persons_settings_say(mode):
    """In plan mode too: once the plan is agreed to, the same program carries it out."""
    given = launch(turn(toolApprovalLevel="readonly", mode=mode))
    settings = json.loads(option(given.args, "settings"))

    assert {"Bash", "Edit", "Write"} <= set(settings["permissions"]["ask"])


@pytest.mark.parametrize(
    ("changes", "sources"),
    [
        pytest.param({"toolApprovalLevel": "readonly"}, "user", id="asks"),
        pytest.param({"mode": "plan"}, "user", id="plans"),
        pytest.param({}, None, id="auto"),
    ],
)
def test_a_projects_settings_count_only_where_nobody_is_asked(changes, sources):
    args = launch(turn(**changes)).args

    assert option(args, "setting-sources") == sources


def test_a_fork_leaves_the_conversation_as_it_is():
    args = launch(turn(resumeSessionRef="s", forkSession=True)).args

    assert option(args, "resume") == "s"
    assert "--fork-session" in args


@pytest.mark.parametrize("changes", [{"forkSession": True}, {"resumeSessionRef": "s"}])
def test_no_fork_of_nothing_nor_unasked(changes):
    assert "--fork-session" not in launch(turn(**changes)).args


def test_plan_mode_may_end_with_a_plan():
    args = launch(turn(mode="plan")).args

    assert option(args, "permission-mode") == "plan"
    assert "ExitPlanMode" not in option(args, "disallowedTools")


@pytest.mark.parametrize("where", ["agent", "virtualMcp"])
def test_the_agents_instructions_are_added(where):
    args = launch(turn(**{where: {"id": "a", "instructions": " Be kind. "}})).args

    assert option(args, "append-system-prompt") == "Be kind."


@pytest.mark.parametrize("value", ["--dangerously-skip-permissions", "a b", "x\ny"])
def test_nothing_from_outside_becomes_a_flag_of_its_own(value):
    models = {"thinking": {"id": value, "title": ""}}
    plain = launch(turn(resumeSessionRef="s")).args

    args = launch(turn(resumeSessionRef=value, models=models)).args

    assert len(args) == len(plain)
    assert value not in args


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"resumeSessionRef": "s"}, True, id="the session"),
        pytest.param({"mode": "plan"}, False, id="the mode"),
        pytest.param({"toolApprovalLevel": "readonly"}, False, id="the level"),
        pytest.param({"agent": {"id": "a", "instructions": "x"}}, False, id="instructions"),
        pytest.param({"models": {"thinking": {"id": "opus", "title": ""}}}, False, id="model"),
    ],
)
def test_what_needs_another_process(changes, is_same):
    assert (key(turn(**changes)) == key(turn())) is is_same


def blocks(*parts):
    """Return the content blocks that the program is given for a message of these parts."""
    line = user_line(turn(messages=[{"role": "user", "parts": list(parts)}])).line
    return json.loads(line)["message"]["content"]


def file(media_type, url, name="a"):
    return {"type": "file", "mediaType": media_type, "url": url, "filename": name}


def data_url(media_type, data):
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def test_text_and_image():
    url = data_url("image/png", b"png")

    text, image = blocks({"type": "text", "text": "look"}, file("image/png", url))

    assert text == {"type": "text", "text": "look"}
    assert image["source"]["media_type"] == "image/png"
    assert base64.b64decode(image["source"]["data"]) == b"png"


def test_a_pdf_is_a_document():
    (block,) = blocks(file("application/pdf", data_url("application/pdf", b"%PDF")))

    assert block["type"] == "document"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        pytest.param(
            file("text/csv", data_url("text/csv", b"a,b"), "t.csv"), "t.csv:\n\na,b", id="text"
        ),
        pytest.param(
            file("text/plain", "data:text/plain,a%20b", "t"), "t:\n\na b", id="not base64"
        ),
        pytest.param(
            file("application/zip", data_url("application/zip", b"\xff"), "z"),
            "[z could not be read: application/zip is not supported]",
            id="of a type nobody reads",
        ),
        pytest.param(
            file("image/png", "https://mesh.example/a.png", "p"),
            "[p could not be read: it is not part of the message]",
            id="elsewhere",
        ),
        pytest.param(
            file("image/png", "data:image/png;base64,?", "p"),
            "[p could not be read: it is not part of the message]",
            id="broken",
        ),
    ],
)
def test_other_files_are_text(part, text):
    assert blocks(part) == [{"type": "text", "text": text}]


def test_a_message_that_says_nothing_is_still_a_message():
    assert blocks({"type": "text", "text": "  "}, {"type": "step-start"}) == [
        {"type": "text", "text": "(nothing)"}
    ]


def test_each_command_begins_in_the_working_folder():
    """A rule for a command is for that folder, and the program does not say where it runs."""
    assert launch(turn("hello")).env["CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR"] == "1"
