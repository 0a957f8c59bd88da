"""deco_link service: with a systemctl of the test's own."""

import os
import stat
import sys
from pathlib import Path

import pytest

from links.daemon import cli, kept_variables

SERVER = "https://mesh.example"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the unit is systemd's")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MESH_HOME", str(tmp_path / "mesh"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "argv", ["/venv/bin/deco", "link"])
    (tmp_path / "token").write_text("t")
    (tmp_path / "code").mkdir()
    return tmp_path


@pytest.fixture
def systemctl(home):
    """Return ``systemctl(code)``: from now on it writes down its words and ends with ``code``."""
    asked = home / "asked"

    def make(code=0):
        program = home / "bin" / "systemctl"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexit {code}\n')
        program.chmod(0o755)
        return asked

    return make


def unit(home):
    return home / ".config/systemd/user/mesh-link-mesh-example.service"


def install(home, *flags):
    words = ["service", "install", SERVER, "--token-file", str(home / "token"), *flags]
    return cli.main(words)


def test_it_is_written_and_started(home, systemctl):
    asked = systemctl()

    assert install(home) == 0

    assert asked.read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now mesh-link-mesh-example.service",
    ]
    assert stat.S_IMODE(unit(home).stat().st_mode) == 0o600
    assert f'"MESH_HOME={home}/mesh"' in unit(home).read_text()


def test_paths_are_made_absolute(home, monkeypatch):
    monkeypatch.chdir(home)

    assert install(home, "--no-start", "--allow", "code", "--allow=code", "--name", "a b") == 0

    text = unit(home).read_text()
    assert text.count(f'"--allow" "{home}/code"') == 2
    assert '"--name" "a b"' in text


def test_no_token_is_in_it(home):
    (home / "token").write_text("s3cret")

    install(home, "--no-start")

    assert "s3cret" not in unit(home).read_text()


def test_what_agents_need_is_kept_in_a_file_of_its_own(home, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret-key")
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:s3cret-proxy@proxy.example")

    install(home, "--no-start")

    said = capsys.readouterr().out
    text = unit(home).read_text()
    assert "s3cret" not in text + said
    assert "PATH=" not in text
    assert '"--as-service"' in text
    assert "HTTPS_PROXY" in said
    assert "OPENAI_API_KEY" in said
    kept = kept_variables.read(home / "mesh")
    assert kept["OPENAI_API_KEY"] == "s3cret-key"
    assert kept["PATH"] == str(home / "bin")  # where the shell does not answer


def test_without_systemd_the_remaining_steps_are_printed(home, capsys):
    assert install(home) == 1

    said = capsys.readouterr().err
    assert "systemctl --user enable --now mesh-link-mesh-example.service" in said
    assert unit(home).exists()


def test_what_fails_is_left_to_the_person(home, systemctl, capsys):
    systemctl(code=1)

    assert install(home) == 1
    assert "daemon-reload" in capsys.readouterr().err


def test_a_machine_that_is_not_linked_yet(capsys):
    assert cli.main(["service", "install", SERVER]) == 3
    assert f"deco link {SERVER}" in capsys.readouterr().err


def test_it_is_removed_again(home, systemctl):
    asked = systemctl()
    install(home, "--no-start")

    assert cli.main(["service", "uninstall", SERVER]) == 0

    assert not unit(home).exists()
    assert asked.read_text() == "--user disable --now mesh-link-mesh-example.service\n"


def test_removing_what_is_not_there_is_done_at_once():
    assert cli.main(["service", "uninstall", SERVER]) == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["install"],
        ["install", "mesh.example"],
        ["install", SERVER, "--allow", "/absent"],
        ["install", SERVER, "--nonsense"],
        ["uninstall", SERVER, "--allow", "/"],
        ["refresh", SERVER, "--allow", "/"],
        ["env", "set"],
        ["env", "dance"],
    ],
    ids=str,
)
def test_wrong_use(words):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["service", *words])

    assert stopped.value.code == 2


def test_the_program_it_names_exists(home):
    install(home, "--no-start")

    (line,) = (x for x in unit(home).read_text().splitlines() if x.startswith("ExecStart="))
    assert os.access(Path(line.split('"')[1]), os.X_OK)
