"""deco_link service env: names are shown, values never."""

import io
import os
import signal
import stat

import pytest

from links.daemon import cli, kept_variables
from links.daemon.state import StateFile

SECRET = "s3cret-of-an-agent"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.endswith(("_KEY", "_TOKEN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MESH_HOME", str(tmp_path))
    return tmp_path


def env(*words):
    return cli.main(["service", "env", *words])


def typed(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_value_is_read_and_only_its_name_is_shown(home, monkeypatch, capsys):
    typed(monkeypatch, f"{SECRET}\n")

    assert env("set", "OPENAI_API_KEY") == 0
    assert env() == 0

    said = capsys.readouterr()
    assert said.out.splitlines() == ["Kept: OPENAI_API_KEY", "OPENAI_API_KEY"]
    assert SECRET not in said.out + said.err
    assert kept_variables.read(home) == {"OPENAI_API_KEY": SECRET}
    assert stat.S_IMODE(kept_variables.path_of(home).stat().st_mode) == 0o600


def test_what_is_kept_can_be_dropped(home, monkeypatch, capsys):
    kept_variables.write(home, {"OPENAI_API_KEY": SECRET, "CODEX_HOME": "/c"})

    assert env("unset", "OPENAI_API_KEY", "NOT_KEPT") == 0

    assert kept_variables.read(home) == {"CODEX_HOME": "/c"}
    assert "Not kept: NOT_KEPT" in capsys.readouterr().err
    assert env("unset", "NOT_KEPT") == 1


def test_all_that_agents_need_is_taken_from_this_terminal(home, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("MINE", "no")

    assert env("import") == 0

    assert kept_variables.read(home)["OPENAI_API_KEY"] == SECRET
    assert "MINE" not in kept_variables.read(home)
    assert SECRET not in capsys.readouterr().out


def test_what_is_named_is_taken_from_this_terminal(home, monkeypatch, capsys):
    monkeypatch.setenv("MINE", "yes")

    assert env("import", "MINE", "PATH") == 0

    assert kept_variables.read(home) == {"MINE": "yes", "PATH": os.environ["PATH"]}
    assert "add --acp-env" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text", "code", "said"),
    [
        (["set", f"A_KEY={SECRET}"], "", 2, "Give only the name"),
        (["set", "MESH_KEY"], "x\n", 2, "can't be passed to an agent"),
        (["set", "A B"], "x\n", 2, "can't be passed to an agent"),
        (["set", "A_KEY"], "", 2, "no value was given"),
        (["set", "A_KEY"], "x" * 40_000, 2, "too long"),
        (["import", "NOT_SET_HERE"], "", 1, "Not set in this terminal: NOT_SET_HERE"),
    ],
)
def test_what_is_refused_changes_nothing(home, monkeypatch, capsys, words, text, code, said):
    kept_variables.write(home, {"CODEX_HOME": "/c"})
    typed(monkeypatch, text)

    assert env(*words) == code

    error = capsys.readouterr().err
    assert said in error
    assert SECRET not in error
    assert kept_variables.read(home) == {"CODEX_HOME": "/c"}


def test_a_folder_that_can_t_be_written(home, monkeypatch, capsys):
    (home / "link").write_text("in the way")
    typed(monkeypatch, "x\n")

    assert env("set", "OPENAI_API_KEY") == 1
    assert "environment.json" in capsys.readouterr().err


@pytest.fixture
def running(home):
    """Return ``running(is_service)``: a link, which is this process, and what it was sent."""
    sent = []
    before = signal.signal(signal.SIGHUP, lambda *_: sent.append("SIGHUP"))

    def start(*, is_service):
        state = StateFile(home, server="https://mesh.example", name="laptop", is_service=is_service)
        state.set_phase("connected")
        return sent

    yield start
    signal.signal(signal.SIGHUP, before)


def test_a_running_service_looks_again(running, monkeypatch, capsys):
    sent = running(is_service=True)
    typed(monkeypatch, "x\n")

    env("set", "OPENAI_API_KEY")
    assert cli.main(["service", "refresh", "https://mesh.example"]) == 0

    assert sent == ["SIGHUP", "SIGHUP"]
    assert "takes that over now" in capsys.readouterr().out


def test_a_link_in_a_terminal_is_left_alone(running, monkeypatch, capsys):
    sent = running(is_service=False)
    typed(monkeypatch, "x\n")

    env("set", "OPENAI_API_KEY")
    assert cli.main(["service", "refresh", "https://mesh.example"]) == 1

    assert sent == []
    assert "runs as a service" in capsys.readouterr().err
