"""No test here may touch the database: pytest-django refuses it without the mark."""

import argparse
import logging
import stat
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from links.daemon import cli, logout
from links.daemon import main as daemon
from links.daemon.config import Agent, machine_id
from links.daemon.errors import SignedOut


@pytest.fixture(autouse=True)
def plain_logging(monkeypatch, tmp_path):
    """The program's set-up of logging is not the test run's."""
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setenv("MESH_HOME", str(tmp_path))


@pytest.fixture
def ran(monkeypatch):
    """The configurations that the daemon was run with."""
    seen = []

    async def run(config):
        seen.append(config)

    monkeypatch.setattr(daemon, "run", run)
    return seen


def test_arguments_are_passed_on(ran, tmp_path):
    (tmp_path / "code").mkdir()
    code = str(tmp_path / "code")

    assert cli.main(["https://mesh.example/", "--allow", code, "--name", "lap"]) == 0

    (config,) = ran
    assert (config.server, config.name) == ("https://mesh.example", "lap")
    assert config.allowed == (tmp_path / "code",)
    assert config.token_file is None


def test_programs_that_speak_acp_are_named(ran):
    words = ["--acp", "goose=goose acp", "--acp", "my-own='/opt/my own/agent' --stdio"]
    assert cli.main(["https://mesh.example", *words]) == 0

    assert ran[0].acp == (
        Agent("goose", ("goose", "acp")),
        Agent("my-own", ("/opt/my own/agent", "--stdio")),
    )


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["goose"], id="no command"),
        pytest.param(["goose="], id="an empty command"),
        pytest.param(["=goose"], id="no name"),
        pytest.param(["Goose=goose"], id="a name of other letters"),
        pytest.param(["x" * 33 + "=goose"], id="a long name"),
        pytest.param(["goose='goose"], id="an open quote"),
        pytest.param(["gemini=evil"], id="a name of ours"),
        pytest.param(["a=b", "a=c"], id="a name twice"),
    ],
)
def test_programs_that_are_named_wrongly(ran, words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["https://mesh.example", *(part for word in words for part in ("--acp", word))])

    assert (ended.value.code, ran) == (2, [])


def test_the_command_of_django_is_the_same_program(ran, tmp_path):
    call_command("deco_link", "http://127.0.0.1:8321", token_file=tmp_path / "t")

    assert ran[0].token_file == tmp_path / "t"


@pytest.mark.parametrize(
    "argv",
    [[], ["mesh.example"], ["ftp://mesh.example"], ["https://x", "--allow", "/absent"]],
    ids=["no server", "no scheme", "another scheme", "no such folder"],
)
def test_wrong_usage_is_reported_immediately(argv, ran, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(argv)

    assert stopped.value.code == 2
    assert capsys.readouterr().err
    assert ran == []


def test_wrong_use_of_the_command_too(ran):
    with pytest.raises(CommandError, match="not an address"):
        call_command("deco_link", "mesh.example")


def test_an_expected_end_says_what_to_do(monkeypatch, capsys):
    async def run(config):
        raise SignedOut

    monkeypatch.setattr(daemon, "run", run)

    assert cli.main(["https://mesh.example"]) == 3
    assert "mesh_token" in capsys.readouterr().err


def test_logout_is_a_command_of_its_own(monkeypatch):
    seen = []
    monkeypatch.setattr(logout, "main", lambda words: seen.append(words) or 7)

    assert cli.main(["logout", "https://mesh.example"]) == 7
    assert seen == [["https://mesh.example"]]


@pytest.mark.programs
def test_it_loads_neither_django_nor_httpx():
    code = (
        "import sys, links.daemon.cli, links.daemon.main;"
        "heavy = {'django', 'httpx', 'rest_framework', 'celery', 'segno'};"
        "print(sorted(heavy & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert shown.stdout.strip() == "[]"


def test_a_machine_id_is_made_once(tmp_path):
    made = machine_id(tmp_path / "new")

    assert len(made) == 32
    assert machine_id(tmp_path / "new") == made
    mode = (tmp_path / "new" / "machine-id").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(("kept", "made"), [("  abc \n", False), (" \n", True)])
def test_a_machine_id_is_trimmed_and_a_blank_one_replaced(tmp_path, kept, made):
    (tmp_path / "machine-id").write_text(kept)

    assert (machine_id(tmp_path) == "abc") is not made


def test_the_parser_is_shared():
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)

    assert parser.parse_args(["https://x"]).allow == []
