"""What differs in a container."""

import socket
import subprocess
import sys

import httpx
import pytest

from sandboxes.daemon import container
from sandboxes.daemon.startup_secrets import StartupSecrets
from tests.sandboxes.daemon.sandbox import ROOT_OF_THE_CODE
from tests.servers import free_port
from tests.waiting import PATIENCE, until

KEY = "ab" * 32


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_addresses(text, address):
    assert container.parse_address(text) == address


@pytest.mark.parametrize("text", ["", "9000", ":9000", "host:", "host:x", "host:0", "host:65536"])
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        container.parse_address(text)


def test_what_came_by_the_environment_is_taken_out_of_it(tmp_path):
    environ = {"DAEMON_TOKEN": "t", "DAEMON_SERVER_KEY": KEY, "PATH": "/bin"}
    environ["DAEMON_SPEC"] = '{"handle": "h"}'

    container.unpack(tmp_path / "root", environ)

    assert environ == {"PATH": "/bin"}
    assert (tmp_path / "root/token").stat().st_mode & 0o777 == 0o600
    assert container.take(tmp_path / "root") == StartupSecrets(KEY, "t")


def test_without_anything_in_the_environment_the_files_count_once(tmp_path):
    (tmp_path / "token").write_text("there")
    (tmp_path / "server-key").write_text(f"{KEY}\n")

    container.unpack(tmp_path, {})

    assert container.take(tmp_path) == StartupSecrets(KEY, "there")
    assert container.take(tmp_path) == StartupSecrets("", "")


def test_a_key_that_an_agent_left_in_the_volume_does_not_count(tmp_path):
    """A claim of an older server tells none: then the sandbox must not start with the agent's."""
    (tmp_path / "server-key").write_text(KEY)

    container.unpack(tmp_path, {"DAEMON_TOKEN": "t"})

    assert container.take(tmp_path) == StartupSecrets("", "t")


@pytest.mark.programs
def test_a_sandbox_at_a_port_answers_with_its_token_which_no_file_has_any_more(tmp_path):
    port = free_port()
    argv = [sys.executable, "-m", "sandboxes.daemon", "--root", str(tmp_path / "root")]
    environ = {"DAEMON_TOKEN": "t", "DAEMON_SERVER_KEY": KEY}
    environ["DAEMON_SPEC"] = '{"handle": "main-0123456789abcdef"}'
    process = subprocess.Popen(
        [*argv, "--listen", f"127.0.0.1:{port}"], cwd=ROOT_OF_THE_CODE, env=environ
    )
    try:
        until(lambda: is_open(port), what="the sandbox listens")
        url = f"http://127.0.0.1:{port}/_sandbox/health"

        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer t"}).status_code == 200
        assert not {"token", "server-key"} & {path.name for path in (tmp_path / "root").iterdir()}
        asked = httpx.get(f"{url[:-6]}runs", headers={"authorization": "Bearer t"})
        assert asked.json()["error"]["code"] == "not_signed_by_server"
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
