"""A page stays open in a real browser while Mesh is stopped, upgraded and started again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.running import RunningMesh, say

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    *("agents", "links", "mesh", "sandboxes", "templates", "threads"),
    *("manage.py", "pyproject.toml", "requirements.txt"),
)
LOADING = 60_000  # milliseconds


@pytest.fixture
def installed(tmp_path):
    """A folder with a Mesh of its own, which can be upgraded."""
    folder = tmp_path / "mesh"
    folder.mkdir()
    for name in OURS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def mesh(installed, tmp_path):
    running = RunningMesh(tmp_path / "home", root=installed)
    try:
        running.start().online()
        yield running
    finally:
        running.close()


def upgrade(installed):
    """Install another version, of which the cards' script is another file."""
    version = installed / "mesh" / "version.py"
    version.write_text(version.read_text().replace("VERSION =", 'VERSION = "9.9.9"  #'))
    script = installed / "mesh" / "static" / "mesh" / "approvals.js"
    script.write_text(script.read_text() + "// of another version\n")


def test_a_question_of_the_new_version_can_be_answered_on_the_old_page(page, mesh, installed):
    page.context.add_cookies([{"name": "mesh_session", "value": mesh.session(), "url": mesh.url}])
    page.goto(f"{mesh.url}/home/?choice=demo:smart")
    page.locator("#level").select_option("readonly")
    page.locator("#text").fill("count slowly to two")
    page.keyboard.press("Enter")
    answer = page.locator(".message--answer").last
    expect(answer).to_contain_text("1, 2", timeout=LOADING)
    thread = page.url.rpartition("/")[2]

    mesh.interrupt()
    upgrade(installed)
    mesh.start().online()
    expect(page.locator("#stale")).to_contain_text("Mesh has been upgraded", timeout=LOADING)
    with mesh.client() as api:
        say(api, thread, "run touch made", harnessId="demo")

    page.get_by_role("button", name="Allow", exact=True).click(timeout=LOADING)
    expect(page.locator(".tool[data-state=ok]").last).to_be_visible(timeout=LOADING)
    page.get_by_role("button", name="Reload").click()
    expect(page.locator(".tool[data-state=ok]").last).to_be_attached(timeout=LOADING)
    expect(page.locator("#stale")).to_be_hidden()
