"""A project's mesh.toml, read and written by the routes of a real sandbox."""

from __future__ import annotations

import pytest

from mesh.children import HAS_PROC
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.setup import settings_file
from sandboxes.daemon.setup.settings_file import ChangedSince, SettingsElsewhere
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import SERVER_PY, config, repository

SILENT = "import time; time.sleep(600)"


@pytest.fixture
def sandbox(make_sandbox, tmp_path):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TEST_UNSEEN_AFTER": "1"}
    return make_sandbox(env=env)


@pytest.mark.programs
@pytest.mark.skipif(not HAS_PROC, reason="asks /proc who listens")
async def test_what_is_written_starts_another_server_and_keeps_the_rest(sandbox, tmp_path):
    settings = '# ours\n\ndev = ["python3", "silent.py"]  # to be mended\n[other]\nkept = 1\n'
    files = {"mesh.toml": settings, "silent.py": SILENT, "server.py": SERVER_PY}
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(repository(tmp_path / "origin", files)))
        await told.phase("unseen")
        seen = (await sandbox.get("/settings")).json()
        change = {"dev": "python3 server.py", "revision": seen["revision"]}
        answer = await sandbox.post("/settings", change)
        await told.phase("running")

    assert seen["dev"] == "python3 silent.py"
    assert answer.json()["dev"] == "python3 server.py"
    written = (sandbox.root / "repo" / "mesh.toml").read_text()
    assert written == settings.replace("silent", "server")


@pytest.mark.programs
@pytest.mark.parametrize(
    ("settings", "change", "code"),
    [
        pytest.param("dev = [", {"port": 1}, "invalid_settings", id="no TOML"),
        pytest.param("port.a = 1", {"port": 1}, "settings_not_rewritten", id="an odd form"),
        pytest.param("", {"port": 0}, "bad_input", id="no port"),
        pytest.param("", {"port": True}, "bad_input", id="a truth value"),
        pytest.param("", {"dev": "  "}, "bad_input", id="no command"),
        pytest.param("", {"dev": "echo 'a"}, "bad_input", id="an open quote"),
        pytest.param("", {"dev": "a\nb"}, "bad_input", id="two lines"),
        pytest.param("", {"dev": ["a"]}, "bad_input", id="a list"),
        pytest.param("", {}, "bad_input", id="nothing"),
        pytest.param("a = 1", {"port": 1, "revision": "old"}, "settings_changed", id="an old look"),
        pytest.param("", {"port": 1, "revision": 7}, "bad_input", id="no revision"),
    ],
)
async def test_what_is_refused_changes_nothing(sandbox, tmp_path, settings, change, code):
    url = repository(tmp_path / "origin", {"mesh.toml": settings, "server.py": SILENT})
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("start-failed")
    revision = settings_file._revision(settings.encode())

    answer = await sandbox.post("/settings", {"revision": revision} | change)

    assert answer.json()["error"]["code"] == code
    assert (sandbox.root / "repo" / "mesh.toml").read_text() == settings


async def test_before_a_project_is_set_up_there_are_none(sandbox):
    answer = await sandbox.get("/settings")

    assert answer.json()["error"]["code"] == "not_configured"


def test_a_file_that_is_not_there_is_made(tmp_path):
    tree = Tree(tmp_path)
    revision = settings_file.read(tree, "mesh.toml")["revision"]

    settings_file.write(tree, "mesh.toml", {"port": 3000}, revision, pyproject="")

    assert (tmp_path / "mesh.toml").read_text() == "port = 3000\n"


def test_one_that_was_made_meanwhile_is_not_lost(tmp_path):
    tree = Tree(tmp_path)
    revision = settings_file.read(tree, "mesh.toml")["revision"]
    (tmp_path / "mesh.toml").write_text("port = 1\n")

    with pytest.raises(ChangedSince):
        settings_file.write(tree, "mesh.toml", {"port": 2}, revision, pyproject="")
    assert (tmp_path / "mesh.toml").read_text() == "port = 1\n"


def test_settings_in_pyproject_are_not_hidden(tmp_path):
    tree = Tree(tmp_path)
    revision = settings_file.read(tree, "mesh.toml")["revision"]
    pyproject = '[tool.mesh]\ninclude = [".env"]'

    with pytest.raises(SettingsElsewhere):
        settings_file.write(tree, "mesh.toml", {"port": 2}, revision, pyproject=pyproject)
    assert not (tmp_path / "mesh.toml").exists()
