"""Each real program commits in a chat's worktree at "Auto approve", and nobody is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Ask
from sandboxes.daemon.checkout.commit_folders import commit_folders
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import parse_spec
from tests.harness import real
from tests.harness.agents_table import cells
from tests.harness.cli import a_home, need
from tests.harness.driver import Driver, turn
from tests.harness.shapes import check_turn
from tests.sandboxes.daemon.projects import git, repository

pytestmark = [pytest.mark.real_cli, pytest.mark.programs]

COMMIT = "bash: echo two > a.txt && git commit -qam two"


@pytest.fixture
def project():
    """A person's repository; not below the temporary folder, where every sandbox may write."""
    with a_home() as folder:
        repository(folder / "project", {"a.txt": "one\n"})
        git(folder / "project", "config", "user.name", "Ada")
        git(folder / "project", "config", "user.email", "ada@mesh.example")
        yield folder / "project"


@pytest.fixture
def chat(project):
    """The folder of a sandbox, with a worktree of the project."""
    root = project.parent / "root"
    root.mkdir()
    given = {"handle": "h-0123456789abcdef", "folder": str(project)}
    prepare(parse_spec(given), root / "repo", Git(), Notices(root))
    return root


@pytest.fixture
async def driver(kind, standin, chat):
    program = real.PROGRAMS[kind]
    path = need(program.name)
    with a_home() as home:
        environment = program.env(home, standin.url)
        async with Driver(ADAPTERS[kind](), [path], env=environment, cwd=chat / "repo") as made:
            yield made


def say(kind, text, chat):
    model = f"{kind}:{real.PROGRAMS[kind].model}"
    given = turn(text, models={"thinking": {"id": model, "title": "M"}})
    return replace(given, git=commit_folders(chat))


# The sandbox of codex-acp keeps git directories read-only.
COMMITS = [kind for kind in real.PROGRAMS if kind != "acp:codex"]


@cells("auto", dict.fromkeys(COMMITS, "It can commit in the chat's worktree."))
async def test_it_commits(driver, kind, chat, project):
    await driver.run(say(kind, COMMIT, chat))

    check_turn(driver.outs)
    assert [out for out in driver.outs if isinstance(out, Ask)] == []
    assert git(project, "log", "-1", "--format=%s", "mesh/h-0123456789abcdef") == "two"


@cells("auto", {"acp:codex": "A commit fails: its own sandbox keeps git read-only, and says so."})
async def test_a_commit_that_its_sandbox_refuses_is_told(driver, kind, chat, project):
    before = files_of(project / ".git")

    chunks = await driver.run(say(kind, COMMIT, chat))

    check_turn(driver.outs)
    assert git(project, "log", "-1", "--format=%s", "mesh/h-0123456789abcdef") != "two"
    assert files_of(project / ".git") == before
    # A command that ends at once is not always told to us; what it said always reaches the model.
    ends = [c for c in chunks if c["type"] in ("tool-output-available", "tool-output-error")]
    told = "".join(c["delta"] for c in chunks if c["type"] == "text-delta")
    assert "index.lock" in f"{ends} {told}"


@pytest.mark.parametrize("kind", ["codex"])
@pytest.mark.parametrize(
    "what",
    [
        pytest.param("git config core.editor mine", id="settings"),
        pytest.param("echo true > $(git rev-parse --git-path hooks)/pre-commit", id="hook"),
        pytest.param("echo .. > $(git rev-parse --git-dir)/commondir", id="where they are"),
        pytest.param("git -C {project} config core.editor mine", id="the person's settings"),
        pytest.param("git update-ref refs/heads/main HEAD~0 && git tag mine", id="other branches"),
    ],
)
async def test_its_sandbox_lets_it_change_nothing_else_of_git(driver, kind, chat, project, what):
    before = files_of(project / ".git")

    await driver.run(say(kind, f"bash: {what.format(project=project)}", chat))

    assert files_of(project / ".git") == before


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["codex"])
async def test_its_own_settings_for_the_sandbox_still_count(driver, kind, chat):
    with a_home() as folder:
        settings = f'[sandbox_workspace_write]\nwritable_roots = ["{folder}"]\n'
        with (Path(driver.env["CODEX_HOME"]) / "config.toml").open("a") as file:
            file.write(settings)

        await driver.run(say(kind, f"bash: touch {folder}/made", chat))

        assert (folder / "made").exists()
