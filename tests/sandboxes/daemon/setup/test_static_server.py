"""The small server of a folder's files, and what tells its pages that something has changed."""

from __future__ import annotations

import os

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.children import HAS_PROC
from sandboxes.daemon.setup import static_server
from sandboxes.daemon.setup.static_server import (
    FEED_PATH,
    SCRIPT_PATH,
    app_of,
    kind_of_change,
    seen,
    with_script,
)
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import config, repository


@pytest.fixture
def folder(tmp_path):
    site = tmp_path / "site"
    (site / "sub").mkdir(parents=True)
    (site / "index.html").write_text("<html><body><h1>one</h1></body></html>")
    (site / "sub" / "index.html").write_text("<h1>sub</h1>")
    (site / "style.css").write_text("h1 { color: red }")
    (site / ".env").write_text("KEY=secret")
    (site / ".git").mkdir()
    (site / ".git" / "config").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "outside.txt")
    return site


@pytest.fixture
async def client(folder):
    transport = httpx.ASGITransport(app=app_of(folder))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_a_page_has_the_script_that_reloads_it(client):
    page = await client.get("/")
    script = await client.get(SCRIPT_PATH)

    assert f'<h1>one</h1><script src="{SCRIPT_PATH}"></script></body>' in page.text
    assert FEED_PATH in script.text
    assert script.headers["content-type"].startswith("text/javascript")


async def test_a_folder_s_own_page_is_served(client):
    assert "<h1>sub</h1>" in (await client.get("/sub/")).text
    assert (await client.get("/sub")).status_code == 307


async def test_other_files_are_as_they_are(client):
    style = await client.get("/style.css", headers={"range": "bytes=0-1"})

    assert (style.status_code, style.text) == (206, "h1")
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "path",
    [
        *("/.env", "/.git/config", "/sub/../.env", "/%2e%65nv", "/sub/%2e%2e/.env"),
        *("/link.txt", "/../outside.txt", "/%2e%2e/outside.txt", "/none.html"),
    ],
)
async def test_what_is_hidden_or_elsewhere_is_not_there(client, path):
    answer = await client.get(path)

    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_an_http_head_has_no_body(client):
    answer = await client.head("/")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param(lambda f: (f / "style.css").write_text("h1 {}"), "style", id="a style sheet"),
        pytest.param(lambda f: (f / "index.html").write_text("<p>"), "page", id="a page"),
        pytest.param(lambda f: (f / "new.js").write_text(""), "page", id="a new file"),
        pytest.param(lambda f: (f / "sub" / "index.html").unlink(), "page", id="one that is gone"),
        pytest.param(lambda f: (f / ".env").write_text("KEY=2"), "", id="a hidden one"),
        pytest.param(lambda f: None, "", id="nothing"),
    ],
)
def test_what_a_change_means_for_a_page(folder, change, kind):
    before = seen(folder)
    change(folder)

    assert kind_of_change(before, seen(folder)) == kind


async def test_a_reader_of_the_changes_is_told(folder, monkeypatch):
    monkeypatch.setattr(static_server, "LOOK_EVERY", 0)
    feed = static_server.changes(folder)
    assert await anext(feed) == ": looking\n\n"

    os.utime(folder / "index.html", (1, 1))

    assert await anext(feed) == "data: page\n\n"
    await feed.aclose()


@given(st.binary())
def test_a_page_keeps_every_byte_of_its_own(page):
    tag = f'<script src="{SCRIPT_PATH}"></script>'.encode()

    assert with_script(page).replace(tag, b"", 1) == page


@pytest.mark.programs
@pytest.mark.skipif(not HAS_PROC, reason="asks /proc who listens")
async def test_a_folder_with_nothing_but_a_page_is_shown(make_sandbox, tmp_path):
    sandbox = make_sandbox(env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    url = repository(tmp_path / "origin", {"index.html": "<h1>plain</h1>"})

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        running = await told.phase("running")
    page = await sandbox.get("/preview/")

    assert "<h1>plain</h1>" in page.text
    assert running["htmlSupport"] is True
    assert "isOpen" not in running


@pytest.mark.programs
async def test_a_language_that_is_not_installed_is_named(make_sandbox, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    sandbox = make_sandbox(env={"PATH": f"/usr/bin:/bin:{empty}", "HOME": str(tmp_path)})
    url = repository(tmp_path / "origin", {"hugo.toml": ""})

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        failed = await told.phase("start-failed")

    assert failed["reason"] == "hugo is not installed on this machine."
    assert "try again" in failed["hint"]
