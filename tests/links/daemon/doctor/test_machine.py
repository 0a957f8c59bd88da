"""What of this machine itself is worth a line."""

import pytest

from links.daemon.doctor import machine
from links.daemon.doctor.finding import Finding
from links.daemon.probe import PROBES
from links.daemon.state import StateFile
from links.wire.messages import MachineStatus

SERVER = "https://mesh.example"
GIB = 2**30


def status(**states):
    harnesses = {
        probe.name: {"state": "absent", "version": "", "detail": ""} for probe in PROBES
    } | {
        name.replace("_", "-"): {"state": state, "version": "1.2", "detail": "hint"}
        for name, state in states.items()
    }
    return MachineStatus(capabilities=(), harnesses=harnesses)


def lines(**states):
    return {one.subject: one for one in machine.judge_programs(PROBES, status(**states))}


def test_a_program_that_is_ready():
    found = lines(claude_code="ready")

    assert found["claude-code"] == Finding("ok", "claude-code", "1.2 hint")
    assert "agents" not in found


@pytest.mark.parametrize(
    ("state", "words"), [("not_signed_in", "not signed in"), ("timed_out", "timed out")]
)
def test_a_program_that_needs_its_person(state, words):
    found = lines(codex=state)

    assert (found["codex"].state, found["codex"].detail) == ("warn", words)
    assert found["codex"].fix == "hint"
    assert found["agents"].state == "warn"


def test_a_program_that_is_absent_comes_with_its_install_line():
    found = lines()["claude-code"]

    assert (found.state, found.fix) == ("warn", "npm install -g @anthropic-ai/claude-code")


@pytest.mark.parametrize(
    ("free", "state"), [(50 * GIB, "ok"), (GIB, "warn"), (100 * 2**20, "fail")]
)
def test_disk(free, state, tmp_path):
    finding = machine.judge_disk(free, tmp_path)

    assert (finding.state, bool(finding.fix)) == (state, state != "ok")


def test_a_home_that_others_can_read(tmp_path):
    tmp_path.chmod(0o755)

    assert [one.subject for one in machine.check_home(tmp_path)] == ["disk", "privacy"]


def test_a_home_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")

    assert machine.check_home(tmp_path / "file" / "home")[0].state == "fail"


def test_git_is_looked_for(monkeypatch):
    assert machine.check_git().state == "ok"

    monkeypatch.setenv("PATH", "")

    assert machine.check_git().state == "warn"


@pytest.mark.parametrize(
    ("phase", "state", "words"),
    [("connected", "ok", "connected"), ("waiting", "warn", "The server is away.")],
)
def test_a_link_that_runs(tmp_path, phase, state, words):
    StateFile(tmp_path, server=SERVER, name="lap").set_phase(phase, "The server is away.")

    finding = machine.check_link(tmp_path, SERVER)

    assert (finding.state, words in finding.detail) == (state, True)


def test_a_link_to_another_server_is_not_meant(tmp_path):
    StateFile(tmp_path, server="https://other.example", name="lap").set_phase("connected")

    assert "not running" in machine.check_link(tmp_path, SERVER).detail
