"""The doctor compares what a service works with and what this terminal has."""

import os
import socket

import pytest

from links.daemon import service_files
from links.daemon.doctor.service import check_service, unit_of
from links.daemon.login_shell import Answer
from links.daemon.probe import PROBES
from links.daemon.service_environment import Found

SERVER = "https://mesh.example"
SECRET = "s3cret-of-an-agent"


@pytest.fixture
def doctor(tmp_path, monkeypatch):
    """Return ``doctor(**variables)``: the lines about a service that works with these."""
    for name in [name for name in os.environ if name.endswith(("_KEY", "_TOKEN"))]:
        monkeypatch.delenv(name)
    for name in ("SSH_AUTH_SOCK", "IS_SANDBOX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    unit = unit_of(SERVER, tmp_path)
    unit.parent.mkdir(parents=True)
    unit.write_text(f'ExecStart="python" "{service_files.AS_SERVICE}"')

    def lines(*, trouble="", **variables):
        found = Found({"PATH": "/usr/bin:/bin", **variables}, Answer("/bin/zsh", {}, trouble))
        look = lambda home, environ: found  # noqa: E731
        checks = check_service(tmp_path, SERVER, PROBES, user_home=tmp_path, look=look)
        return [str(line) for line in checks]

    lines.unit = unit
    return lines


def test_where_both_agree_there_is_nothing_to_do(doctor):
    assert doctor() == ["ok    shell        /bin/zsh answers"]


def test_without_a_service_it_says_nothing(doctor):
    doctor.unit.unlink()

    assert doctor() == []


def test_a_service_of_an_older_version_is_to_be_installed_again(doctor):
    doctor.unit.write_text('Environment="PATH=/old/node"')

    (line,) = doctor()
    assert f"service install {SERVER}" in line


def test_a_shell_that_does_not_answer(doctor):
    (line,) = doctor(trouble="it did not answer within 10 s")

    assert line.startswith("warn  shell        /bin/zsh: it did not answer within 10 s")
    assert "DECO_LINK_ASKS" in line


def test_a_program_that_only_this_terminal_finds(doctor, tmp_path, monkeypatch):
    program = tmp_path / "node/bin/codex"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    _, line = doctor()

    assert f"codex is {program} in this terminal, and the service does not find it" in line
    assert "service env import PATH" in line


@pytest.mark.parametrize(
    ("theirs", "said"),
    [({}, "has no OPENAI_API_KEY"), ({"OPENAI_API_KEY": "x"}, "has another value of OPENAI_API")],
)
def test_a_variable_that_only_this_terminal_has(doctor, monkeypatch, theirs, said):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("MINE", "no agent needs it")

    _, line = doctor(**theirs)

    assert said in line
    assert "service env import OPENAI_API_KEY" in line
    assert SECRET not in line


def test_an_ssh_agent_that_only_this_terminal_has(doctor, monkeypatch, tmp_path_factory):
    address = str(tmp_path_factory.mktemp("s") / "agent")
    monkeypatch.setenv("SSH_AUTH_SOCK", address)
    assert len(doctor(SSH_AUTH_SOCK="")) == 1  # nobody listens there

    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(address)
        agent.listen()
        _, line = doctor(SSH_AUTH_SOCK="")

    assert "finds no SSH agent" in line
