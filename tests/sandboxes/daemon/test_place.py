from __future__ import annotations

import json

import pytest

from sandboxes.daemon.place import SOCKET_PATH_LIMIT, AlreadyRunning, NotASandbox, Place
from tests.sandboxes.daemon.sandbox import text_of


def make_root(root):
    root.mkdir(parents=True)
    (root / "token").write_text("t\n")
    (root / "spec.json").write_text('{"handle": "h"}')
    return root


def test_one_process_at_a_time(tmp_path):
    place = Place.open(make_root(tmp_path / "s"))

    with pytest.raises(AlreadyRunning):
        Place.open(tmp_path / "s")

    place.withdraw()
    Place.open(tmp_path / "s").withdraw()


@pytest.mark.parametrize(
    ("name", "content"),
    [("token", None), ("token", " \n"), ("spec.json", None), ("spec.json", "{")],
)
def test_what_is_no_sandbox(tmp_path, name, content):
    root = make_root(tmp_path / "s")
    (root / name).unlink()
    if content is not None:
        (root / name).write_text(content)

    with pytest.raises(NotASandbox):
        Place.open(root)


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
