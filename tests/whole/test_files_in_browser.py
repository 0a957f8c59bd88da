"""The work panel's Files in Chromium, through server, link and the real sandbox program."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from playwright.sync_api import expect

from tests.running import RunningMesh, say
from tests.sandboxes.daemon.projects import repository
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.browser, pytest.mark.real_cli]

APP = "import os\n\n\ndef main():\n    print('needle')\n"
FILES = {
    "src/app.py": APP,
    "src/deep/x.js": "const a = 1;\n",
    "README.md": "# Shop\n",
    ".gitignore": "*.log\n",
}
WITHIN = PATIENCE * 1000  # milliseconds


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    repository(folder / "project", FILES)
    running = RunningMesh(folder / "home", MESH_FOLDER=str(folder / "project"))
    try:
        running.start().online()
        yield running
    finally:
        running.close()


@pytest.fixture
def thread(mesh):
    """A thread that has said something, and so has a sandbox with a worktree."""
    with mesh.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        assert say(api, thread, "hello", harnessId="demo").status_code == 202
        until(lambda: api.get(f"/threads/{thread}").json()["status"] == "completed")
    return thread


@pytest.fixture
def repo(mesh, thread):
    """The thread's own worktree."""
    (found,) = (mesh.home / "sandboxes").glob(f"thread-{thread}*/repo")
    return found


def open_files(mesh, thread, page):
    page.context.add_cookies([{"name": "mesh_session", "value": mesh.session(), "url": mesh.url}])
    page.goto(f"{mesh.url}/home/threads/{thread}")
    page.locator("body[data-ready]").wait_for()
    page.get_by_role("button", name="Work panel").click()
    page.get_by_role("tab", name="Files").click()
    expect(item(page, "README.md")).to_be_visible(timeout=WITHIN)
    return page


def item(page, name):
    return page.get_by_role("treeitem").filter(has=page.get_by_text(name, exact=True))


@pytest.fixture
def files(mesh, thread, repo, page):
    return open_files(mesh, thread, page)


def told(page):
    return page.locator(".browse__told")


def test_a_file_is_found_read_edited_and_saved(files, repo):
    expect(item(files, ".gitignore")).to_have_count(0)
    item(files, "src").click()
    item(files, "app.py").click()
    expect(files.locator(".viewer__line").nth(3)).to_have_text("def main():", timeout=WITHIN)
    expect(files.locator(".viewer__line .hljs-keyword").first).to_have_text("import")

    files.get_by_role("button", name="Edit").click()
    files.get_by_role("textbox", name="Content of the file").fill("x = 1\n")
    files.keyboard.press("Control+s")

    expect(files.locator(".viewer__note")).to_contain_text("Saved.", timeout=WITHIN)
    assert (repo / "src" / "app.py").read_text() == "x = 1\n"


def test_what_the_agent_wrote_meanwhile_is_not_lost(files, repo):
    item(files, "README.md").click()
    files.get_by_role("button", name="Edit").click()
    files.get_by_role("textbox", name="Content of the file").fill("mine\n")
    (repo / "README.md").write_text("the agent's\n")
    files.get_by_role("button", name="Save", exact=False).click()

    both = files.locator(".viewer__side")
    expect(both).to_have_text(["Yoursmine", "On the machine nowthe agent's"], timeout=WITHIN)
    assert (repo / "README.md").read_text() == "the agent's\n"

    files.get_by_role("button", name="Save mine over it").click()
    expect(files.locator(".viewer__line").first).to_have_text("mine", timeout=WITHIN)
    assert (repo / "README.md").read_text() == "mine\n"


def test_of_two_tabs_the_second_save_shows_both(files, mesh, thread, repo, context):
    other = open_files(mesh, thread, context.new_page())
    for page in (files, other):
        item(page, "README.md").click()
        page.get_by_role("button", name="Edit").click()
    files.get_by_role("textbox", name="Content of the file").fill("first\n")
    files.get_by_role("button", name="Save", exact=False).click()
    expect(files.locator(".viewer__note")).to_contain_text("Saved.", timeout=WITHIN)

    other.get_by_role("textbox", name="Content of the file").fill("second\n")
    other.get_by_role("button", name="Save", exact=False).click()

    expect(other.locator(".viewer__side").last).to_contain_text("first", timeout=WITHIN)
    other.get_by_role("button", name="Take the one on the machine").click()
    expect(other.locator(".viewer__line").first).to_have_text("first", timeout=WITHIN)
    assert (repo / "README.md").read_text() == "first\n"


def test_what_the_agent_writes_while_one_reads_is_shown(files, repo):
    item(files, "README.md").click()
    expect(files.locator(".viewer__line").first).to_have_text("# Shop", timeout=WITHIN)

    (repo / "README.md").write_text("# Another shop\n")

    expect(files.locator(".viewer__line").first).to_have_text("# Another shop", timeout=WITHIN)
    files.get_by_role("button", name="Back to the files").click()
    expect(item(files, "README.md").locator(".tree__mark")).to_contain_text("M", timeout=WITHIN)


def test_contents_are_searched_and_the_line_is_shown(files):
    files.get_by_role("searchbox", name="Find in the files").fill("needle")
    files.get_by_role("combobox", name="What to search").select_option("search")
    found = files.locator(".browse__found")
    expect(found).to_have_count(1, timeout=WITHIN)
    expect(found).to_contain_text("src/app.py:5")

    found.click()

    expect(files.locator(".viewer__line--here")).to_have_text("    print('needle')", timeout=WITHIN)


def test_what_is_deleted_comes_back(files, repo):
    item(files, "src").click()
    files.get_by_role("button", name="Delete src").click()
    expect(told(files)).to_contain_text("Deleted src.", timeout=WITHIN)
    expect(item(files, "src")).to_have_count(0)
    assert not (repo / "src").exists()

    files.get_by_role("button", name="Undo").click()

    expect(item(files, "src")).to_be_visible(timeout=WITHIN)
    assert (repo / "src" / "app.py").read_text() == APP


def test_a_file_is_made_renamed_and_named_as_it_likes(files, repo):
    files.get_by_role("button", name="New file").click()
    files.get_by_label("Name of the new file").fill("notes/a b.txt")
    files.keyboard.press("Enter")
    files.get_by_role("textbox", name="Content of the file").fill("one\n")
    files.get_by_role("button", name="Save", exact=False).click()
    expect(files.locator(".viewer__note")).to_contain_text("Saved.", timeout=WITHIN)
    files.get_by_role("button", name="Back to the files").click()

    item(files, "a b.txt").click()
    files.get_by_role("button", name="Back to the files").click()
    files.get_by_role("button", name="Rename a b.txt").click()
    files.get_by_label("New path of a b.txt").fill("notes/ü.txt")
    files.keyboard.press("Enter")

    expect(item(files, "ü.txt")).to_be_visible(timeout=WITHIN)
    assert (repo / "notes" / "ü.txt").read_text() == "one\n"


def test_odd_names_and_ignored_ones_are_shown_on_demand(files, repo):
    (repo / os.fsdecode(b"caf\xe9.txt")).write_text("latin\n")
    (repo / "two\nlines.txt").write_text("lines\n")
    (repo / "x.log").write_text("log\n")
    expect(item(files, '"caf\\351.txt"')).to_be_visible(timeout=WITHIN)
    expect(item(files, "x.log")).to_have_count(0)

    files.get_by_role("button", name="Show dotfiles and ignored files").click()

    expect(item(files, "x.log")).to_be_visible(timeout=WITHIN)
    expect(item(files, ".gitignore")).to_be_visible()
    item(files, '"caf\\351.txt"').click()
    expect(files.locator(".viewer__line").first).to_have_text("latin", timeout=WITHIN)


def test_a_dropped_file_is_uploaded_and_replaces_only_when_told(files, repo):
    def drop(text):
        files.evaluate(
            """(text) => {
              const data = new DataTransfer();
              data.items.add(new File([text], "up.txt"));
              const where = { bubbles: true, cancelable: true, dataTransfer: data };
              document.querySelector(".tree").dispatchEvent(new DragEvent("drop", where));
            }""",
            text,
        )

    drop("one")
    expect(told(files)).to_contain_text("Uploaded 1 file.", timeout=WITHIN)
    assert (repo / "up.txt").read_text() == "one"
    drop("two")
    expect(told(files)).to_contain_text("Already there: up.txt.", timeout=WITHIN)
    assert (repo / "up.txt").read_text() == "one"
    files.get_by_role("button", name="Replace it").click()
    expect(told(files)).to_contain_text("Replaced.", timeout=WITHIN)
    assert (repo / "up.txt").read_text() == "two"
    assert files.locator(".chip").count() == 0  # it is not for the next message


def test_a_gigabyte_is_downloaded_as_it_is_and_not_shown(files, repo):
    with (repo / "huge.bin").open("wb") as file:
        file.truncate(1024**3)
    item(files, "huge.bin").click()
    expect(files.locator(".viewer__body")).to_contain_text("binary", timeout=WITHIN)

    address = files.get_by_role("link", name="Download").get_attribute("href")
    got = files.evaluate(
        """async (address) => {
          const answer = await fetch(address);
          const reader = answer.body.getReader();
          let size = 0;
          for (let count = 0; count < 8; count += 1) size += (await reader.read()).value.length;
          await reader.cancel();
          const named = (name) => answer.headers.get(name);
          return [named("content-length"), named("content-disposition"), size > 0];
        }""",
        address,
    )
    assert got == [str(1024**3), 'attachment; filename="huge.bin"', True]


def test_a_folder_of_many_files_has_only_the_rows_in_sight(files, repo):
    (repo / "many").mkdir()
    for number in range(9000):
        (repo / "many" / f"{number:05}.txt").touch()
    item(files, "many").click(timeout=WITHIN)
    expect(item(files, "00003.txt")).to_be_visible(timeout=WITHIN)
    assert files.get_by_role("treeitem").count() < 120

    files.get_by_role("tree").focus()
    files.keyboard.press("End")
    files.keyboard.press("ArrowUp")

    assert files.get_by_role("treeitem").count() < 120


def test_while_the_machine_is_away_what_was_known_is_shown_with_its_time(files, mesh):
    item(files, "README.md").click()
    expect(files.locator(".viewer__line").first).to_have_text("# Shop", timeout=WITHIN)
    files.get_by_role("button", name="Back to the files").click()
    pid, _ = mesh.link()
    os.kill(pid, signal.SIGSTOP)
    try:
        files.reload()  # it opens by itself, as it was left
        known = files.locator(".panel__known")
        expect(known).to_contain_text("This was known at", timeout=2 * WITHIN)
        expect(item(files, "README.md")).to_be_visible()
        expect(files.locator(".viewer__line").first).to_have_text("# Shop")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    expect(known).to_be_hidden(timeout=2 * WITHIN)
