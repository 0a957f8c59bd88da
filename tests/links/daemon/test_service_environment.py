"""A link that runs as a service works with what a terminal of the person's would have."""

import asyncio
import logging
import os
import socket
import stat

import pytest

from links.daemon import kept_variables, ssh_agent
from links.daemon.login_shell import Answer
from links.daemon.service_environment import ServiceEnvironment, find


class Shell:
    """A login shell that says what the test tells it to."""

    def __init__(self, **variables):
        self.says, self.trouble = variables, ""

    def __call__(self, *, named, environ):
        self.given = dict(environ)
        says = {} if self.trouble else dict(self.says)
        return Answer("/bin/scripted", says, self.trouble)


@pytest.fixture
def own():
    return {"PATH": "/usr/bin:/bin", "HOME": "/home/ada"}


@pytest.fixture
def agent(tmp_path_factory):
    """Return ``agent()``: the address of a socket that answers, as an SSH agent's does."""
    opened = []

    def listen(name="agent"):
        path = tmp_path_factory.mktemp("s") / name
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        sock.listen(4)
        opened.append(sock)
        return str(path)

    yield listen
    for sock in opened:
        sock.close()


def service(home, shell, environ, **more):
    return ServiceEnvironment(home, environ=environ, ask=shell, **more)


def refresh(environment):
    asyncio.run(environment.refresh())


def test_programs_are_found_where_the_shell_finds_them_first(tmp_path, own):
    kept_variables.write(tmp_path, {"PATH": "/kept:/usr/bin"})
    refresh(service(tmp_path, Shell(PATH="/new/node/bin:/bin"), own))

    assert own["PATH"] == "/new/node/bin:/bin:/kept:/usr/bin"


def test_an_upgrade_is_noticed_when_it_is_asked_again(tmp_path, own):
    shell = Shell(PATH="/node/22/bin")
    environment = service(tmp_path, shell, own)
    refresh(environment)
    before = environment.digest
    shell.says["PATH"] = "/node/24/bin"

    refresh(environment)

    assert own["PATH"].split(":")[0] == "/node/24/bin"
    assert "/node/22/bin" not in own["PATH"]
    assert environment.digest != before


def test_another_link_to_the_same_folder_is_no_change(tmp_path, own):
    (tmp_path / "node").mkdir()
    for name in ("shell-1", "shell-2"):
        (tmp_path / name).symlink_to("node")
    shell = Shell(PATH=str(tmp_path / "shell-1"))
    environment = service(tmp_path, shell, own)
    refresh(environment)
    before = environment.digest
    shell.says["PATH"] = str(tmp_path / "shell-2")

    refresh(environment)

    assert environment.digest == before


def test_a_folder_that_can_t_be_written_keeps_nobody_from_working(tmp_path, own, agent, caplog):
    (tmp_path / "link").write_text("in the way")
    address = agent()

    refresh(service(tmp_path, Shell(PATH="/new", SSH_AUTH_SOCK=address), own))

    assert own["SSH_AUTH_SOCK"] == address
    assert own["PATH"].startswith("/new")
    assert "SSH agent" in caplog.text


def test_what_is_kept_counts_more_than_what_the_shell_says(tmp_path, own):
    kept_variables.write(tmp_path, {"OPENAI_API_KEY": "kept"})

    refresh(service(tmp_path, Shell(OPENAI_API_KEY="said", CODEX_HOME="/c"), own))

    assert (own["OPENAI_API_KEY"], own["CODEX_HOME"]) == ("kept", "/c")


def test_what_is_gone_from_the_shell_is_gone(tmp_path, own):
    own["HTTPS_PROXY"] = "http://own"
    shell = Shell(OPENAI_API_KEY="k", HTTPS_PROXY="http://said")
    environment = service(tmp_path, shell, own)
    refresh(environment)
    shell.says = {}

    refresh(environment)

    assert "OPENAI_API_KEY" not in own
    assert own["HTTPS_PROXY"] == "http://own"


def test_a_shell_that_does_not_answer_changes_nothing(tmp_path, own, caplog):
    shell = Shell(PATH="/node/bin", OPENAI_API_KEY="k")
    environment = service(tmp_path, shell, own)
    refresh(environment)
    shell.trouble = "it did not answer within 10 s"

    refresh(environment)

    assert own["OPENAI_API_KEY"] == "k"
    assert "/node/bin" in own["PATH"].split(":")
    assert "/bin/scripted: it did not answer within 10 s" in caplog.text


@pytest.mark.parametrize("name", ["LD_PRELOAD", "MESH_HOME", "PYTHONPATH", "HOME", "TERM"])
def test_nothing_else_is_taken_from_either(tmp_path, own, name):
    before = dict(own)
    kept_variables.write(tmp_path, {name: "/evil"})

    refresh(service(tmp_path, Shell(**{name: "/evil"}), own))

    assert own.get(name) == before.get(name)


def test_what_is_named_for_an_agent_is_taken(tmp_path, own):
    refresh(service(tmp_path, Shell(MINE="yes"), own, named=["MINE"]))

    assert own["MINE"] == "yes"


def test_folders_that_agents_can_write_are_left_out(tmp_path, own):
    (tmp_path / "sandboxes/h/bin").mkdir(parents=True)

    refresh(service(tmp_path, Shell(PATH=f"bin:.:{tmp_path}/sandboxes/h/bin:/ok"), own))

    assert own["PATH"] == "/ok:/usr/bin:/bin"


def test_the_log_has_names_and_no_values(tmp_path, own, caplog):
    with caplog.at_level(logging.INFO):
        refresh(service(tmp_path, Shell(OPENAI_API_KEY="s3cret"), own))

    assert "OPENAI_API_KEY" in caplog.text
    assert "s3cret" not in caplog.text


def test_the_shell_is_asked_as_if_nobody_had_asked_before(tmp_path, own):
    shell = Shell(OPENAI_API_KEY="k")
    environment = service(tmp_path, shell, own)
    refresh(environment)

    refresh(environment)

    assert shell.given == {"PATH": "/usr/bin:/bin", "HOME": "/home/ada"}


def test_an_agent_of_the_person_is_found_and_has_one_address(tmp_path, own, agent):
    own["SSH_AUTH_SOCK"] = "/gone"  # of a session that has ended
    shell = Shell(SSH_AUTH_SOCK=agent("first"))
    environment = service(tmp_path, shell, own)
    refresh(environment)
    first = own["SSH_AUTH_SOCK"]
    shell.says["SSH_AUTH_SOCK"] = agent("second")

    refresh(environment)

    assert first == own["SSH_AUTH_SOCK"] == str(ssh_agent.own_address(tmp_path))
    assert os.readlink(first).endswith("second")


def test_an_agent_where_the_system_has_it(tmp_path, own, agent):
    address = agent("ssh-agent.socket")
    own["XDG_RUNTIME_DIR"] = os.path.dirname(address)

    found = find(tmp_path, environ=own, ask=Shell())

    assert found.variables["SSH_AUTH_SOCK"] == address


def test_without_an_agent_there_is_no_address(tmp_path, own, agent):
    shell = Shell(SSH_AUTH_SOCK=agent())
    environment = service(tmp_path, shell, own)
    refresh(environment)
    shell.says = {"SSH_AUTH_SOCK": str(tmp_path / "nobody")}

    refresh(environment)

    assert "SSH_AUTH_SOCK" not in own
    assert not ssh_agent.own_address(tmp_path).is_symlink()


def test_the_kept_file_is_the_person_s_alone(tmp_path):
    home = tmp_path / "new"
    kept_variables.write(home, {"A": "1"})

    path = kept_variables.path_of(home)
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, home)]
    assert modes == [0o600, 0o700, 0o700]
    assert kept_variables.read(home) == {"A": "1"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"A": 1, "B": "x\\u0000y"}', "[" * 9999])
def test_a_file_that_says_nothing_useful(tmp_path, text):
    kept_variables.write(tmp_path, {})
    kept_variables.path_of(tmp_path).write_text(text)

    assert kept_variables.read(tmp_path) == {}
