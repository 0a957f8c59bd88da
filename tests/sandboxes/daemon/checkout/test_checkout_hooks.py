"""Hooks are not run when a working folder is made, and the person is told. With real git."""

from __future__ import annotations

import pytest

from sandboxes.daemon.checkout.checkout import Job, run_job
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.daemon.projects import git, repository

pytestmark = pytest.mark.programs

FAILING = "#!/bin/sh\necho no >&2\nexit 1\n"
SLOW = "#!/bin/sh\nsleep 600\n"
LFS = '#!/bin/sh\ngit lfs post-checkout "$@"\n'


@pytest.fixture
def project(tmp_path):
    repository(tmp_path / "project", {"a.txt": "one\n"})
    return tmp_path / "project"


@pytest.fixture
def begin(project, tmp_path):
    """Return ``begin()``: make the working folder, and return what the person is told."""
    (tmp_path / "root").mkdir()
    notices = Notices(tmp_path / "root")

    def make():
        named = {"handle": "h-0123456789abcdef", "folder": str(project), "branch": "feature"}
        run_job(Job(parse_spec(named)), tmp_path / "root/repo", Git(), notices)
        assert (tmp_path / "root/repo/a.txt").read_text() == "one\n"
        pending = notices.pending
        notices.note_told(pending)
        return [notice.text for notice in pending]

    return make


def write(file, text, mode=0o755):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


@pytest.mark.parametrize("hook", [FAILING, SLOW])
def test_a_hook_that_fails_or_hangs_is_not_run_and_that_is_said_once(project, begin, hook):
    write(project / ".git/hooks/post-checkout", hook)

    assert ["was not run" in text for text in begin()] == [True]
    assert begin() == []


def test_a_hook_in_a_folder_of_the_project(project, begin):
    write(project / ".githooks/post-checkout", FAILING)
    git(project, "add", ".githooks")
    git(project, "commit", "-qm", "hooks")
    git(project, "config", "core.hooksPath", ".githooks")

    assert begin()[0].startswith("The hook .githooks/post-checkout was not run")


def test_husky_s_hook(project, begin):
    write(project / ".husky/post-checkout", "npm install\n", 0o644)
    git(project, "add", ".husky")
    git(project, "commit", "-qm", "hooks")
    git(project, "config", "core.hooksPath", ".husky/_")

    assert begin()[0].startswith("The hook .husky/post-checkout was not run")


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        pytest.param(LFS, 0o755, id="Git LFS's"),
        pytest.param(FAILING, 0o644, id="not executable, so git runs it neither"),
    ],
)
def test_a_hook_that_nothing_depends_on(project, begin, text, mode):
    write(project / ".git/hooks/post-checkout", text, mode)

    assert begin() == []


def test_without_a_hook_nothing_is_said(begin):
    assert begin() == []
