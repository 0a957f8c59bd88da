"""What a person's own agents can hold is asked once, and kept. The real program, small agents."""

import json
import sys

import pytest

from links.daemon.agent_levels import KEPT_FOR, AgentLevels
from links.daemon.config import Agent
from links.wire.messages import MachineStatus

AGENT = """
import json, sys
with open(sys.argv[1], "a") as log:
    log.write("started\\n")
for line in sys.stdin:
    asked = json.loads(line)
    modes = {"availableModes": [{"id": "plan", "name": "Plan"}]}
    info = {"name": "mine", "version": "1.2"}
    said = {"initialize": {"protocolVersion": 1, "agentInfo": info},
            "session/new": {"sessionId": "s", "modes": modes}}
    print(json.dumps({"id": asked["id"], "result": said[asked["method"]]}), flush=True)
"""
READY = {"state": "ready", "version": "", "detail": ""}
SAID = READY | {"version": "1.2", "levels": "auto plan"}


def status(**reports):
    named = {f"acp:{name}": report for name, report in reports.items()}
    return MachineStatus(capabilities=("decopilot-sandbox",), harnesses={"codex": READY} | named)


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "agent.py"
    path.write_text(AGENT)
    return path


@pytest.fixture
def agent(script, tmp_path):
    return Agent("mine", (sys.executable, str(script), str(tmp_path / "log")))


@pytest.fixture
def starts(tmp_path):
    """Return how often the agent was started."""
    return lambda: len((tmp_path / "log").read_text().splitlines())


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def levels(tmp_path, agent, clock):
    """Return ``levels()``: as a link has it that was started just now."""
    return lambda *agents: AgentLevels(tmp_path / "home", agents or [agent], clock=clock)


async def test_an_agent_is_asked_once_and_others_are_not(levels, starts, tmp_path):
    found = await levels().ask(status(mine=READY), again=True)

    assert found == status(mine=SAID)
    later = levels()  # after a new start of the link
    assert later.known(status(mine=READY)) == status(mine=SAID)
    assert await later.ask(status(mine=READY), again=True) == status(mine=SAID)
    assert starts() == 1
    kept = tmp_path / "home/link/agent-levels.json"
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_an_agent_whose_file_has_changed_is_asked_again(levels, starts, script):
    await levels().ask(status(mine=READY), again=True)
    script.write_text(AGENT + "\n# 1.3\n")

    before = levels().known(status(mine=READY))
    await levels().ask(status(mine=READY), again=False)

    assert before == status(mine=READY)
    assert starts() == 2


async def test_what_it_said_counts_for_some_days(levels, starts, clock):
    await levels().ask(status(mine=READY), again=True)
    clock.now += KEPT_FOR

    assert levels().known(status(mine=READY)) == status(mine=READY)
    await levels().ask(status(mine=READY), again=False)
    assert starts() == 2


@pytest.mark.parametrize("state", ["absent", "timed_out"])
async def test_an_agent_that_is_not_there_is_not_asked(levels, state, tmp_path):
    found = status(mine=READY | {"state": state})

    assert await levels().ask(found, again=True) == found
    assert not (tmp_path / "log").exists()


async def test_one_that_does_not_say_it_is_asked_again_only_when_all_are(
    levels, script, starts, tmp_path
):
    script.write_text(AGENT.split("for line")[0])  # it ends at once
    asking = levels()

    for again in (True, False, True):
        assert await asking.ask(status(mine=READY), again=again) == status(mine=READY)

    assert starts() == 2
    assert not (tmp_path / "home/link/agent-levels.json").exists()


@pytest.mark.parametrize(
    "command", [["/bin/false"], ["/bin/echo"], ["/nowhere"], ["/bin/echo", "1"]]
)
async def test_a_program_that_answers_nonsense_is_no_answer(agent, tmp_path, command):
    asking = AgentLevels(tmp_path / "home", [agent], command=command)

    assert await asking.ask(status(mine=READY), again=True) == status(mine=READY)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}', "[" * 100_000])
async def test_a_file_that_says_nothing_is_written_anew(levels, tmp_path, text):
    path = tmp_path / "home/link/agent-levels.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)

    assert await levels().ask(status(mine=READY), again=False) == status(mine=SAID)
    assert len(json.loads(path.read_text())) == 1
