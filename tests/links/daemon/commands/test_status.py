"""deco_link status: from files and processes, with no server at all."""

import json

import pytest

from links.daemon import cli
from links.daemon.commands import status
from links.daemon.state import LinkState, StateFile

SERVER = "https://mesh.example"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MESH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def link(home):
    return StateFile(home, server=SERVER, name="lap")


def test_nothing_runs(capsys):
    assert cli.main(["status"]) == 3
    said = capsys.readouterr().out
    assert "No link is running on this machine" in said
    assert "no sandboxes" in said


def test_a_connected_link(link, capsys):
    link.set_phase("connected")
    link.set_harnesses({"codex": {"state": "not_signed_in", "version": "1", "detail": "Run it."}})

    assert cli.main(["status"]) == 0
    said = capsys.readouterr().out
    assert SERVER in said
    assert "connected for 0 s" in said
    assert "not signed in 1: Run it." in said


def test_a_link_that_waits_says_why(link, capsys):
    link.set_phase("waiting", "The server can't be reached.")

    assert cli.main(["status"]) == 1
    assert "The server can't be reached." in capsys.readouterr().out


def test_for_programs(link, home, capsys):
    link.set_phase("connected")
    (home / "sandboxes" / "one").mkdir(parents=True)
    (home / "sandboxes" / "one" / "spec.json").write_text(json.dumps({"folder": "/code"}))

    status.main(["--json"])

    said = json.loads(capsys.readouterr().out)
    assert said["links"][0]["phase"] == "connected"
    assert said["sandboxes"] == [
        {"handle": "one", "state": "stopped", "pid": 0, "runs": 0, "place": "/code"}
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "3 s"), (240, "4 min"), (7300, "2 h"), (200_000, "2 d")]
)
def test_how_long(seconds, words):
    link = LinkState(server=SERVER, name="lap", pid=1, started="x", phase="connected", since=1000.0)

    assert f"connected for {words}," in status.describe(link, now=1000.0 + seconds)
