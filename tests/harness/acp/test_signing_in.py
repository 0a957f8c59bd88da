from __future__ import annotations

import pytest

from agents.harness import with_agents
from agents.harness.acp.agents import Agent
from agents.harness.acp.signing_in import way_of
from agents.harness.base import Fail
from tests.harness.acp.scripted import Scripted, line, written
from tests.harness.driver import turn

MINE = Agent(name="mine", title="Mine", command=("/opt/mine", "--acp"))
KNOWN = Agent(name="known", title="Known", command=("known",), sign_in="Run known login there.")


def terminal(*args, **fields):
    return {"id": "t", "name": "T", "type": "terminal", "args": list(args)} | fields


def of_meta(command, *args):
    return {"id": "m", "_meta": {"terminal-auth": {"command": command, "args": list(args)}}}


@pytest.mark.parametrize(
    ("agent", "methods", "way"),
    [
        pytest.param(
            MINE, [terminal("login")], "Run `/opt/mine --acp login` in a terminal there.", id="one"
        ),
        pytest.param(
            MINE,
            [terminal("a b"), terminal("c"), terminal("c")],
            "Run `/opt/mine --acp 'a b'` or `/opt/mine --acp c` in a terminal there.",
            id="two",
        ),
        pytest.param(
            MINE,
            [terminal("x", env={"A": "1 2", "no name": "3"})],
            "Run `A='1 2' /opt/mine --acp x` in a terminal there.",
            id="variables as an object",
        ),
        pytest.param(
            MINE,
            [terminal(env=[{"name": "A", "value": "1"}])],
            "Run `A=1 /opt/mine --acp` in a terminal there.",
            id="variables as a list",
        ),
        pytest.param(
            KNOWN,
            [of_meta("/usr/bin/known", "auth", "login")],
            "Run `/usr/bin/known auth login` in a terminal there.",
            id="as opencode says it",
        ),
        pytest.param(KNOWN, [of_meta("curl", "x")], KNOWN.sign_in, id="another program"),
        pytest.param(KNOWN, [terminal("a\u202eb")], KNOWN.sign_in, id="characters out of sight"),
        pytest.param(KNOWN, [terminal("a`b")], KNOWN.sign_in, id="the end of a quotation"),
        pytest.param(KNOWN, [terminal("x" * 400)], KNOWN.sign_in, id="too long"),
        pytest.param(KNOWN, [{"id": "a", "name": "Web"}], KNOWN.sign_in, id="what the table says"),
        pytest.param(
            MINE,
            [{"id": "k", "type": "env_var", "vars": [{"name": "MY_KEY"}, {"name": "MY_URL"}]}],
            "Set MY_KEY and MY_URL there, and start the link again.",
            id="variables to set",
        ),
        pytest.param(
            MINE,
            [{"id": "k", "varName": "MY_KEY"}],
            "Set MY_KEY there, and start the link again.",
            id="one variable to set",
        ),
        pytest.param(
            MINE,
            [{"id": "w", "name": "Web"}, {"id": "g", "name": "Google"}, {"name": "a\x1bb"}],
            "It offers to sign in by “Web” or “Google”.",
            id="only names",
        ),
        pytest.param(MINE, [], "", id="nothing"),
        pytest.param(MINE, [{"type": "terminal", "args": 1, "env": 2, "_meta": 3}], None, id="odd"),
    ],
)
def test_the_way_to_sign_in_is_the_agents_own(agent, methods, way):
    expected = "Run `/opt/mine --acp` in a terminal there." if way is None else way

    assert way_of(agent, methods) == expected


@pytest.mark.parametrize("version", [1, 2])
def test_a_missing_sign_in_says_the_command(monkeypatch, version):
    monkeypatch.setattr(Scripted, "version", version)
    monkeypatch.setattr("tests.harness.acp.scripted.ADAPTERS", with_agents({"mine": ["/opt/mine"]}))
    agent = Scripted("acp:mine")
    (first,) = written(agent.adapter.begin(turn("hi", takesUnasked=version == 2)))
    answer = {"protocolVersion": version, "authMethods": [terminal("login")]}
    answer |= {"info": {"name": "mine", "version": "1"}} if version == 2 else {}
    (new,) = written(agent.say(line(id=first["id"], result=answer)))

    outs = agent.say(line(id=new["id"], error={"code": -32000, "message": "No key."}))

    (failure,) = (out for out in outs if isinstance(out, Fail))
    assert failure.code == "not_signed_in"
    assert "Run `/opt/mine login` in a terminal there." in failure.message
    assert failure.message.endswith("It says: No key.")


def gone(message, **session):
    """Return the failure of a turn whose model its provider does not know."""
    agent = Scripted("acp:qwen", **session)
    agent.begin()
    outs = agent.fail(code=-32603, message=message)
    return next(out for out in outs if isinstance(out, Fail))


def test_a_model_that_is_not_available_is_named():
    option = {"id": "m", "category": "model", "currentValue": "big", "options": []}

    failure = gone("model_not_found", configOptions=[option])

    assert failure.code == "model_unavailable"
    assert failure.message.startswith("The model big is not available to this account.")


def test_it_is_said_that_a_sign_in_in_a_terminal_is_of_use():
    params = written(Scripted().adapter.begin(turn("hi", takesUnasked=True)))[0]["params"]

    assert params["clientCapabilities"]["auth"] == {"terminal": True}
    assert params["capabilities"]["auth"] == {"terminal": {}}
