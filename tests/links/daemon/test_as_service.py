"""The real program, started as a service manager starts it: a bare environment, no terminal."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from links.daemon import kept_variables, state
from mesh import launch
from tests.links.daemon.scripted import ScriptedServer
from tests.waiting import until

SECRET = "s3cret-of-codex"
REGISTERED = {"linkId": "1", "linkSecret": "s" * 43, "userSub": "u", "serverKey": "ab" * 32}
# A start file as nvm's: the newest version is put in front.
START = 'for each in "$HOME"/node/*/bin; do :; done\nexport PATH="$each:$PATH" OPENAI_API_KEY={}\n'

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc shows what others can read"),
]


def install(home, version):
    """Put a program of that version where a version manager would."""
    folder = home / "node" / version / "bin"
    folder.mkdir(parents=True)
    program = folder / "codex"
    program.write_text(f"#!/bin/sh\necho codex-cli {version}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def home(tmp_path):
    for name in (".bash_profile", ".profile", ".zprofile"):
        (tmp_path / name).write_text(START.format(SECRET))
    install(tmp_path, "22.1")
    (tmp_path / "token").write_text("t")
    return tmp_path


@pytest.fixture
def service(home):
    """Return ``service()``: the process of a link that runs as a service."""
    with ScriptedServer() as server, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        answer = {**REGISTERED, "tunnelUrl": f"http://localhost:{port}"}
        server.script = [(200, answer), (204, b"")]
        words = [server.url, "--token-file", str(home / "token"), "--no-tunnel"]
        words += ["--port", str(port), "--as-service", "--name", "laptop"]
        started = []

        def start():
            environ = {"HOME": str(home), "MESH_HOME": str(home / "mesh"), "PATH": os.defpath}
            argv = launch.command("links.daemon.deco", "link", *words)
            with (home / "out").open("wb") as out:
                child = subprocess.Popen(argv, env=environ, stdout=out, stderr=out, cwd="/")
            started.append(child)
            return child

        yield start
        for child in started:
            child.send_signal(signal.SIGTERM)
            child.wait(20)


def codex(home):
    """Return what the running link says of the program."""
    running = state.list_running(home / "mesh")
    return running[0].harnesses.get("codex", {}) if running else {}


def test_it_finds_what_a_terminal_finds_also_after_an_upgrade(home, service):
    link = service()
    until(lambda: codex(home).get("version") == "22.1")
    install(home, "24.0")
    (home / "node/22.1/bin/codex").unlink()

    os.kill(link.pid, signal.SIGHUP)  # deco link service refresh

    until(lambda: codex(home).get("version") == "24.0")
    assert codex(home)["state"] == "ready"


def test_no_secret_is_where_others_can_read_it(home, service):
    kept_variables.write(home / "mesh", {"CODEX_API_KEY": "s3cret-kept"})
    link = service()
    until(lambda: codex(home))

    shown = [(home / "out").read_text(), (home / "mesh/link/log").read_text()]
    shown += [Path(f"/proc/{link.pid}/cmdline").read_text()]
    shown += [path.read_text() for path in (home / "mesh/link/state").iterdir()]
    assert "s3cret" not in json.dumps(shown)
    assert "OPENAI_API_KEY" in shown[1]  # the log says which it took
