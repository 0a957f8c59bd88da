"""D-CA1–5, with small programs in the place of the CLIs."""

import pytest

from links.daemon import probe
from tests.links.daemon.conftest import is_running
from tests.waiting import until

SIGNED_IN = """echo '{"loggedIn": true, "email": "ada@mesh.example"}'"""
SIGNED_OUT = """echo '{"loggedIn": false}'; exit 1"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return ``program(name, answer)``: a shell script that the PATH finds."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name, answer):
        path = folder / name
        version = f'if [ "$1" = --version ]; then echo "{name} 2.1.330 (x)"; exit; fi'
        path.write_text(f"#!/bin/sh\n{version}\n{answer}\n")
        path.chmod(0o755)

    return make


async def test_without_programs_only_the_base(program):  # D-CA1
    found = await probe.look()

    assert found.capabilities == ("decopilot-sandbox",)
    assert {report["state"] for report in found.harnesses.values()} == {"absent"}


async def test_claude_that_is_signed_in(program):  # D-CA2
    program("claude", SIGNED_IN)

    found = await probe.look()

    assert found.capabilities == ("decopilot-sandbox", "claude-code")
    assert found.harnesses["claude-code"] == {
        "state": "ready",
        "version": "2.1.330",
        "detail": "ada@mesh.example",
    }


async def test_codex_that_is_signed_in(program):  # D-CA3
    program("codex", "exit 0")

    assert (await probe.look()).capabilities == ("decopilot-sandbox", "codex")


async def test_both_in_their_order(program):  # D-CA4
    program("codex", "exit 0")
    program("claude", SIGNED_IN)

    found = await probe.look()

    assert found.capabilities == ("decopilot-sandbox", "claude-code", "codex")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        pytest.param(SIGNED_OUT, "not_signed_in", id="says no"),
        pytest.param("exit 3", "not_signed_in", id="says nothing"),
        pytest.param("echo '[]'", "not_signed_in", id="says something else"),
        pytest.param("""echo '{"loggedIn": true, "authMethod": "api_key"}'""", "ready", id="key"),
    ],
)
async def test_what_claude_says(program, answer, state):
    program("claude", answer)

    assert (await probe.look()).harnesses["claude-code"]["state"] == state


async def test_a_program_that_hangs_is_killed_with_its_children(program, tmp_path):
    program("claude", f"sleep 60 & echo $! > {tmp_path}/child; wait")

    found = await probe.look(limit=0.5)

    assert found.harnesses["claude-code"]["state"] == "timed_out"
    child = int((tmp_path / "child").read_text())
    until(lambda: not is_running(child))


async def test_a_program_that_can_not_run_is_not_ready(program, tmp_path):  # D-CA5
    (tmp_path / "bin" / "claude").write_bytes(b"\x7fELF no program")
    (tmp_path / "bin" / "claude").chmod(0o755)

    assert (await probe.look()).capabilities == ("decopilot-sandbox",)


async def test_what_was_ready_is_not_withdrawn(program):
    program("claude", SIGNED_IN)
    before = await probe.look()
    program("claude", SIGNED_OUT)
    program("codex", "exit 0")

    grown = probe.grown(before, await probe.look())

    assert grown.capabilities == ("decopilot-sandbox", "claude-code", "codex")
    assert grown.harnesses["claude-code"]["state"] == "ready"
