"""changes.js reads what an edit changes, in every form that an agent uses."""

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.browser.scripted_server import ScriptedServer

READ = """async (input) => {
  const { changesOf } = await import("/static/mesh/changes.js");
  const { files, keys, command } = changesOf(input);
  const shown = files.map(({ path, from, hunks }) => [
    from ? `${from} → ${path}` : path,
    ...hunks.flatMap(({ head, lines }) => [
      ...(head ? [`@${head}`] : []), ...lines.map(([sign, text]) => `${sign}|${text}`)])]);
  return { files: shown, rest: Object.keys(input).filter((key) => !keys.includes(key)), command };
}"""
PATCH = """*** Begin Patch
*** Update File: a.py
@@ def f():
 keep
-old
+new
*** Add File: b.py
+fresh
*** Delete File: c.py
*** End Patch"""
PATCHED = [
    ["a.py", "@@@ def f():", " |keep", "-|old", "+|new"],
    ["b.py", "@New file", "+|fresh"],
    ["c.py", "@The file is deleted"],
]
UNIFIED = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n keep\n--- a\n+++ b\n"


@pytest.fixture(scope="module")
def read(browser):
    server = ScriptedServer().start()
    page = browser.new_page()
    page.goto(f"{server.url}/static/mesh/favicon.svg")
    yield lambda value: page.evaluate(READ, value)
    page.close()
    server.stop()


@pytest.mark.parametrize(
    ("value", "files"),
    [
        pytest.param(
            {"file_path": "a", "old_string": "x\ny\nz", "new_string": "x\nY\nz"},
            [["a", " |x", "-|y", "+|Y", " |z"]],
            id="old and new",
        ),
        pytest.param(
            {"filePath": "a", "oldString": "y", "newString": "", "replaceAll": True},
            [["a", "@Every occurrence", "-|y"]],
            id="in another spelling",
        ),
        pytest.param(
            {"file_path": "a", "edits": [{"old_string": "1", "new_string": "2"}] * 2},
            [["a", "-|1", "+|2", "-|1", "+|2"]],
            id="several edits",
        ),
        pytest.param(
            {"file_path": "a", "content": "one\ntwo\n"}, [["a", "+|one", "+|two"]], id="a new file"
        ),
        pytest.param(
            {"notebook_path": "n.ipynb", "cell_id": "c1", "new_source": "x", "edit_mode": "insert"},
            [["n.ipynb", "@Cell c1 is inserted", "+|x"]],
            id="a notebook",
        ),
        pytest.param(
            {"file_path": "x.py", "diff": UNIFIED},
            [["x.py", "@@@ -1,2 +1,2 @@", " |keep", "-|-- a", "+|++ b"]],
            id="lines of a hunk that look like names",
        ),
        pytest.param(
            {"file_path": "x", "diff": "--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n"},
            [["x → y", "@@@ -1 +1 @@", "-|a", "+|b"]],
            id="a diff of two names",
        ),
        pytest.param({"patchText": PATCH}, PATCHED, id="a patch"),
        pytest.param({"command": ["apply_patch", PATCH]}, PATCHED, id="a patch as a command"),
        pytest.param(
            {"changes": [{"path": "a", "kind": {"type": "add"}, "diff": "x\n"}]},
            [["a", "@New file", "+|x"]],
            id="changed files in a list",
        ),
        pytest.param(
            {"changes": {"a": {"type": "update", "unified_diff": "@@ -1 +1 @@\n-x\n+y\n"}}},
            [["a", "@@@ -1 +1 @@", "-|x", "+|y"]],
            id="changed files by path",
        ),
        pytest.param(
            {"content": [{"type": "diff", "path": "a", "oldText": "x", "newText": "y"}]},
            [["a", "-|x", "+|y"]],
            id="ACP's content",
        ),
        pytest.param(
            {"file_path": "a", "old_string": "x", "new_string": "x\n"},
            [["a", " |x", "|Only the line break at the end differs."]],
            id="a line break",
        ),
    ],
)
def test_every_form_is_read_and_nothing_is_left_over(read, value, files):
    assert read(value) == {"files": files, "rest": [], "command": read(value)["command"]}


def test_what_a_command_does_besides_its_patch_is_kept(read):
    found = read({"command": f"apply_patch <<'EOF'\n{PATCH}\nEOF\nrm -rf /tmp/x"})

    assert found["files"] == PATCHED
    assert found["command"] == "apply_patch <<'EOF'\n⟨the changes below⟩\nEOF\nrm -rf /tmp/x"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"command": "ls"}, id="a command"),
        pytest.param({"url": "https://example.org"}, id="an address"),
        pytest.param({"file_path": "a"}, id="a file that is read"),
        pytest.param({"edits": [{"range": [1, 2], "text": "x"}]}, id="an unknown kind of edit"),
        pytest.param({"content": [{"type": "text", "text": "x"}]}, id="text"),
        pytest.param({}, id="nothing"),
    ],
)
def test_what_changes_no_file_is_no_change(read, value):
    assert read(value)["files"] == []


@pytest.mark.parametrize("line", ["Binary files a/x and b/x differ", "old mode 100644", "hidden"])
def test_no_line_of_a_diff_is_left_out(read, line):
    shown = read({"file_path": "x", "diff": f"diff --git a/x b/x\n{line}\n"})["files"]

    assert f"|{line}" in shown[0]


def test_the_row_of_a_change_names_its_files_in_every_spelling(page, server):
    patch = "*** Begin Patch\n*** Update File: src/b.py\n@@\n-x\n+y\n*** End Patch"
    edit = {"filePath": "src/a.py", "oldString": "x", "newString": "y"}
    rows = [
        made_up.tool("edit", edit, "ok", id="t-1"),
        made_up.tool("apply_patch", {"input": patch}, "ok", id="t-2"),
    ]
    server.add_thread(messages=[made_up.mine("hi"), made_up.answer(*rows, made_up.text("Done."))])
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")

    expect(page.locator(".tool__where")).to_have_text(["src/a.py", "src/b.py"])
