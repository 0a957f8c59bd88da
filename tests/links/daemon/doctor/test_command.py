"""deco_link doctor, whole: it ends with the right code, with or without a server."""

import pytest

from links.daemon import cli, probe
from links.daemon.doctor import server
from links.wire.messages import MachineStatus
from tests.links.daemon.doctor.conftest import TOKEN


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    monkeypatch.setenv("MESH_HOME", str(tmp_path / "home"))
    report = {"state": "absent", "version": "", "detail": ""}

    async def look():
        return MachineStatus(capabilities=(), harnesses={one.name: report for one in probe.PROBES})

    monkeypatch.setattr(probe, "look", look)


def doctor(fake, token_file, capsys):
    code = cli.main(["doctor", fake.url, "--token-file", str(token_file)])
    return code, capsys.readouterr().out


def test_the_machine_is_checked_even_if_the_server_is_unreachable(token_file, capsys):
    code = cli.main(["doctor", "http://127.0.0.1:1", "--token-file", str(token_file)])

    said = capsys.readouterr().out
    assert code == 1
    assert "fail  server" in said
    assert "ok    git" in said
    assert "warn  link" in said
    assert said.splitlines()[-1].startswith("1 failed")


def test_warnings_alone_are_no_failure(fake, token_file, capsys, monkeypatch):
    async def check(*args):
        return server.Finding("ok", "WebSocket", "opens")

    monkeypatch.setattr(server, "check_websocket", check)

    code, said = doctor(fake, token_file, capsys)

    assert code == 0
    assert "Nothing failed" in said.splitlines()[-1]


def test_no_secret_is_printed(fake, token_file, capsys, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://ada:hush@proxy.example:3128")
    for status in (200, 401, 500):
        fake.answers["/api/links/me"] = (status, {})
        _, said = doctor(fake, token_file, capsys)

        assert TOKEN not in said
        assert "hush" not in said


def test_each_line_says_its_state(fake, token_file, capsys):
    _, said = doctor(fake, token_file, capsys)

    lines = [line for line in said.splitlines() if line and not line.startswith(" ")][:-1]
    assert {line.split()[0] for line in lines} <= {"ok", "warn", "fail"}


@pytest.mark.parametrize("words", [[], ["mesh.example"]], ids=["no server", "no address"])
def test_wrong_use(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["doctor", *words])

    assert stopped.value.code == 2
