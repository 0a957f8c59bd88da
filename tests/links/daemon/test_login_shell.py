"""The login shell is asked; what its start files do keeps nobody waiting, and leaves nothing."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from links.daemon import login_shell
from mesh import process_tree
from tests.waiting import PATIENCE, until

SHELLS = ["bash", "sh", "dash", "zsh", "fish", "tcsh", "nu"]
# Where each reads what a person writes for a login, and how a folder gets onto its PATH.
FILES = {
    "bash": (".bash_profile", 'export PATH="{}:$PATH"'),
    "sh": (".profile", 'export PATH="{}:$PATH"'),
    "dash": (".profile", 'export PATH="{}:$PATH"'),
    "zsh": (".zprofile", 'export PATH="{}:$PATH"'),
    "fish": (".config/fish/config.fish", 'set -gx PATH "{}" $PATH'),
    "tcsh": (".tcshrc", 'setenv PATH "{}:$PATH"'),
    "nu": (".config/nushell/env.nu", '$env.PATH = ($env.PATH | prepend "{}")'),
}
INSTALLED = [name for name in SHELLS if shutil.which(name)]


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def ask(home):
    """Return ``ask(shell, start_file)``: what bash, or another shell, says in that home."""

    def asked(shell="bash", text="", **more):
        name, _ = FILES.get(Path(shell).name, FILES["bash"])
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
        program = shell if os.path.isabs(shell) else shutil.which(shell)
        more = {"limit": PATIENCE} | more
        return login_shell.ask(shell=program, environ={"HOME": str(home)}, **more)

    return asked


@pytest.mark.parametrize("shell", INSTALLED)
def test_a_shell_says_what_a_terminal_would_have(ask, home, shell):
    folder = home / "node" / "bin"
    folder.mkdir(parents=True)

    answer = ask(shell, FILES[shell][1].format(folder))

    assert answer.trouble == ""
    assert answer.variables["PATH"].split(":")[0] == str(folder)


SCRIPTED = {
    "zsh": ["-l", "-i", "-c"],
    "fish": ["-l", "-i", "-c"],
    "nu": ["-l", "-i", "-c"],
    "tcsh": ["-ic"],
    "csh": ["-ic"],
    "pwsh": ["-Login", "-Command"],
}


@pytest.mark.parametrize("shell", SCRIPTED)
def test_each_kind_of_shell_is_asked_in_its_own_way(ask, tmp_path, shell):
    """A script in its place notes its words, and runs the command as that shell would."""
    program = tmp_path / shell
    words = tmp_path / "words"
    program.write_text(
        f'#!/bin/sh\nfor word; do last="$word"; echo "$word" >> {words}; done\n'
        "export PATH=/from/the/shell:/usr/bin:/bin\n"
        "last=${last#^}; last=${last#& }\n"
        'eval "$last"\n'
    )
    program.chmod(0o755)

    answer = ask(str(program))

    assert answer.variables["PATH"].startswith("/from/the/shell:")
    *flags, command = words.read_text().splitlines()
    assert flags == SCRIPTED[shell]
    assert command.startswith({"nu": "^'", "pwsh": "& '"}.get(shell, "'"))


SLOW = "sleep 600"
FAULTS = [
    pytest.param("echo hello; echo '{\"PATH\": 1}'; echo oops >&2", id="noise"),
    pytest.param("head -c 300000 /dev/zero", id="much noise"),
    pytest.param("read answer; read -r another", id="waits for an answer"),
    pytest.param("sleep 600 &", id="leaves a program that holds the output"),
    pytest.param("set -u; echo $undefined", id="an error"),
    pytest.param("set -e; trap 'echo bye' EXIT", id="speaks at its end"),
    pytest.param("cd /nowhere; umask 777; unset HOME", id="another place"),
    pytest.param("stty sane; tput reset; clear", id="wants a terminal"),
    pytest.param("case $- in *i*) exec cat;; esac", id="replaces the shell where one types"),
    pytest.param("case $- in *i*) exit 3;; esac", id="ends where one types"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_start_files_that_do_more_than_they_should(ask, fault):
    answer = ask("bash", f"export PATH=/mine:$PATH\n{fault}\n")

    assert answer.trouble == ""
    assert answer.variables["PATH"].startswith("/mine:")


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        pytest.param(SLOW, "did not answer within 0.3 s", id="slow"),
        pytest.param("while :; do :; done", "did not answer within 0.3 s", id="without end"),
        pytest.param("exit 0", "kept it from answering", id="ends"),
        pytest.param("exec cat", "kept it from answering", id="replaces the shell"),
        pytest.param("exec >&-", "kept it from answering", id="closes the output"),
    ],
)
def test_without_an_answer_it_says_why(ask, fault, trouble):
    answer = ask("bash", fault, limit=0.3 if "0.3" in trouble else PATIENCE)

    assert trouble in answer.trouble
    assert answer.variables == {}


def test_output_without_end_is_cut(ask, monkeypatch):
    monkeypatch.setattr(login_shell, "MOST", 50_000)

    assert "print too much" in ask("bash", "yes").trouble


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/zsh", "/etc/passwd"])
def test_what_is_no_shell(ask, program):
    assert ask(program).trouble


def test_nothing_it_started_is_left(ask, home):
    for limit in (0.5, 5, PATIENCE):  # a busy machine takes long to start a shell
        ask("bash", f"sleep 601 & echo $! > {home}/pid\n{SLOW}", limit=limit)
        if (home / "pid").exists():
            break

    pid = int((home / "pid").read_text())
    until(lambda: pid not in process_tree.table())


def test_only_what_agents_and_tools_need_comes_back(ask):
    answer = ask(
        "bash",
        "export OPENAI_API_KEY=k1 AWS_SECRET=no MESH_KEY=no MINE=yes HTTPS_PROXY=http://p TERM=x",
        named=["MINE", "MESH_KEY"],
    )

    names = set(answer.variables) - {"LANG"}
    assert names == {"PATH", "OPENAI_API_KEY", "MINE", "HTTPS_PROXY"}


def test_its_environment_is_a_clean_one(ask, home, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_LINK", "s3cret")

    ask("bash", f"env > {home}/seen")

    seen = (home / "seen").read_text()
    assert "s3cret" not in seen
    assert f"{login_shell.ASKING}=1" in seen  # a start file can look for it


def test_no_value_is_on_a_command_line(ask, home):
    text = f"export OPENAI_API_KEY=s3cret\nps -eo args > {home}/ps 2>&1"

    ask("bash", text)

    assert "s3cret" not in (home / "ps").read_text()


def test_the_shell_is_the_one_of_the_account():
    mode = os.stat(login_shell.own_shell()).st_mode

    assert mode & stat.S_IXUSR


def test_an_interpreter_that_can_t_be_quoted_is_not_run(ask, monkeypatch):
    monkeypatch.setattr("mesh.launch.command", lambda *words, **more: ["/it's here/python", *words])

    assert "can't be quoted" in ask("bash").trouble
