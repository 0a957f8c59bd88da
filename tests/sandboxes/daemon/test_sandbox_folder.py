from __future__ import annotations

import io
import json

import pytest

from sandboxes.daemon.sandbox_folder import (
    SOCKET_PATH_LIMIT,
    AlreadyRunning,
    NotASandbox,
    SandboxFolder,
)
from sandboxes.daemon.startup_secrets import StartupSecrets, read_startup_secrets
from tests.sandboxes.daemon.sandbox import text_of

SECRETS = StartupSecrets("ab" * 32)


def make_root(root):
    root.mkdir(parents=True)
    (root / "spec.json").write_text('{"handle": "h"}')
    return root


def test_one_process_at_a_time(tmp_path):
    folder = SandboxFolder.open(make_root(tmp_path / "s"), SECRETS)

    with pytest.raises(AlreadyRunning):
        SandboxFolder.open(tmp_path / "s", SECRETS)

    folder.withdraw()
    SandboxFolder.open(tmp_path / "s", SECRETS).withdraw()


@pytest.mark.parametrize(
    ("name", "content"),
    [("spec.json", None), ("spec.json", "{")],
)
def test_what_is_no_sandbox(tmp_path, name, content):
    root = make_root(tmp_path / "s")
    (root / name).unlink()
    if content is not None:
        (root / name).write_text(content)

    with pytest.raises(NotASandbox):
        SandboxFolder.open(root, SECRETS)


@pytest.mark.parametrize("key", ["", "ab", "AB" * 32, "xy" * 32])
def test_without_the_server_s_key_there_is_no_sandbox(tmp_path, key):
    with pytest.raises(NotASandbox):
        SandboxFolder.open(make_root(tmp_path / "s"), StartupSecrets(key))


def test_no_port_is_opened_without_a_token(tmp_path):
    with pytest.raises(NotASandbox):
        SandboxFolder.open(make_root(tmp_path / "s"), SECRETS, address=("127.0.0.1", 9000))


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b'{"other": 1}'])
def test_what_is_no_key_on_the_standard_input(line):
    assert read_startup_secrets(io.BytesIO(line)) == StartupSecrets("")


async def test_a_long_path_has_its_socket_elsewhere(make_sandbox):
    sandbox = make_sandbox("x" * 63 + "/" + "y" * 63)

    path = sandbox.facts["socket"]

    assert len(path) <= SOCKET_PATH_LIMIT
    assert not path.startswith(str(sandbox.root))
    assert text_of(await sandbox.run("r1", ["say", "hi"])) == "hi"


async def test_the_pid_file_names_this_very_process(sandbox):
    from mesh.processes import is_same

    facts = json.loads((sandbox.root / "pid").read_text())

    assert facts["pid"] == sandbox.process.pid
    assert is_same(facts["pid"], facts["started"])
    assert facts.keys() == {"pid", "started", "socket", "bootId", "version"}
