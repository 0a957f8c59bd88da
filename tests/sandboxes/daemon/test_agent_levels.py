"""An agent that Mesh does not know is asked what it can hold, before any message. Real programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from agents.harness import with_agents
from mesh import launch
from sandboxes.daemon.agent_levels import ask
from tests.harness import real
from tests.harness.cli import a_home, need
from tests.harness.real import running
from tests.standin import serving
from tests.waiting import PATIENCE, until

# Answers each method as it is told, and writes down what it is asked and its environment.
AGENT = """
import json, os, subprocess, sys
said, log, extra = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
if extra:
    subprocess.Popen(extra, start_new_session=True)
for line in sys.stdin:
    asked = json.loads(line)
    with open(log, "a") as file:
        file.write(json.dumps([asked["method"], os.getcwd(), sorted(os.environ)]) + "\\n")
    for line in said.get(asked["method"], []):
        text = line if isinstance(line, str) else json.dumps({"id": asked["id"], **line})
        print(text, flush=True)
"""
HELLO = {"result": {"protocolVersion": 1, "agentInfo": {"name": "mine", "version": "1.2"}}}


def session(*modes):
    listed = [{"id": mode, "name": mode} for mode in modes]
    return {"result": {"sessionId": "s", "modes": {"availableModes": listed}}}


ERROR = {"error": {"code": -32000, "message": "Authentication required"}}
COMMANDS = json.dumps(
    {
        "method": "session/update",
        "params": {
            "sessionId": "s",
            "update": {
                "sessionUpdate": "available_commands_update",
                "availableCommands": [{"name": "compact", "description": ""}],
            },
        },
    }
)


@pytest.fixture
def agent(tmp_path):
    """Return ``agent(hello=…, session=…)``: the command of a scripted agent."""
    script, log = tmp_path / "agent.py", tmp_path / "asked"
    script.write_text(AGENT)

    def make(*more, hello=(HELLO,), session=()):
        said = json.dumps({"initialize": list(hello), "session/new": list(session)})
        return [sys.executable, str(script), said, str(log), *more]

    return make


@pytest.fixture
def asked(tmp_path):
    """Return what the agent was asked."""

    def read():
        path = tmp_path / "asked"
        return [json.loads(line) for line in path.read_text().splitlines() if path.exists()]

    return read


def adapter_of(command, **variables):
    return with_agents({"mine": command}, variables)["acp:mine"]()


@pytest.mark.parametrize(
    ("said", "levels"),
    [
        pytest.param([session()], ("auto",), id="no modes"),
        pytest.param([session("ask", "code")], ("auto", "readonly"), id="one that asks"),
        pytest.param([session("code", "plan")], ("auto", "plan"), id="one that plans"),
        pytest.param(
            [session("https://x.example/#default", "https://x.example/#plan")],
            ("auto", "readonly", "plan"),
            id="both, as addresses",
        ),
        pytest.param([COMMANDS, session("plan")], ("auto", "plan"), id="after its commands"),
    ],
)
async def test_its_session_says_it_and_no_message_is_sent(agent, asked, tmp_path, said, levels):
    answer = await ask(adapter_of(agent(session=said)), tmp_path)

    assert (answer.levels, answer.version) == (levels, "1.2")
    assert [method for method, _, _ in asked()] == ["initialize", "session/new"]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"hello": [ERROR]}, id="it refuses to speak"),
        pytest.param({"session": [ERROR]}, id="nobody is signed in"),
        pytest.param({"session": ["no JSON", "[]", "{}", ERROR]}, id="it talks nonsense"),
        pytest.param({"session": ['{"id": 2}', "[]", ERROR]}, id="an answer without anything"),
    ],
)
async def test_one_that_does_not_get_so_far_says_nothing(agent, tmp_path, said):
    assert (await ask(adapter_of(agent(**said)), tmp_path, limit=5)).levels is None


async def test_one_that_says_nothing_is_not_waited_for_forever(agent, tmp_path):
    answer = await ask(adapter_of(agent(hello=[])), tmp_path, limit=0.1)

    assert answer.levels is None


@pytest.mark.parametrize("command", [["/nowhere/agent"], ["/bin/false"], ["/bin/cat"]])
async def test_what_is_no_agent_says_nothing(command, tmp_path):
    assert (await ask(adapter_of(command), tmp_path, limit=5)).levels is None


async def test_one_that_the_table_knows_by_its_command_is_not_even_started(tmp_path):
    answer = await ask(adapter_of(["/nowhere/vibe-acp"]), tmp_path)

    assert answer.levels == ("auto", "readonly")


async def test_one_that_the_table_knows_by_its_name_needs_no_session(agent, asked, tmp_path):
    info = {"name": "@mistralai/mistral-vibe", "version": "9"}
    hello = {"result": {"protocolVersion": 1, "agentInfo": info}}

    answer = await ask(adapter_of(agent(hello=[hello])), tmp_path)

    assert answer.levels == ("auto", "readonly")
    assert [method for method, _, _ in asked()] == ["initialize"]


def ask_as_the_link_does(command, **environ):
    """Run the program itself; return what it prints."""
    words = ["--acp", json.dumps({"mine": command}), "acp:mine"]
    done = subprocess.run(
        launch.command("sandboxes.daemon.agent_levels", *words),
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environ},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_program_leaves_nothing_behind(agent, asked):
    seconds = "98765"
    command = agent("sleep", seconds, session=[session("plan")])

    answer = ask_as_the_link_does(command, MESH_SECRET_KEY="s3cret", OPENAI_API_KEY="another's")

    assert answer == {"levels": ["auto", "plan"], "version": "1.2"}
    until(lambda: not running(f"sleep {seconds}"), what="what the agent had started is ended")
    _, folder, variables = asked()[-1]
    assert not os.path.exists(folder)
    assert not {"MESH_SECRET_KEY", "OPENAI_API_KEY"} & set(variables)


@pytest.mark.real_cli
async def test_a_real_program_under_a_name_that_says_nothing(tmp_path):
    """Its own adapter would be found by its command; a script of the person's hides that."""
    program = real.PROGRAMS["acp:qwen"]
    path = need(program.name)
    with a_home() as home:
        async with serving() as standin:
            script = tmp_path / "mine"
            env = "".join(f"export {k}='{v}'\n" for k, v in program.env(home, standin.url).items())
            script.write_text(f"#!/bin/sh\n{env}exec '{path}' --acp\n")
            script.chmod(0o755)

            answer = await ask(adapter_of([str(script)]), tmp_path, limit=PATIENCE)

    assert answer.levels == ("auto", "readonly", "plan")
    assert answer.version
    assert standin.messages == []
