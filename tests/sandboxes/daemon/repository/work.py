"""A repository on the disk, as one sandbox has it, without the sandbox's process."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from mesh.git import own
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.repository.repository import Repository
from tests.sandboxes.daemon.projects import git


class Work:
    """The folder of a sandbox and its repository; names are bytes, or text of plain ASCII."""

    def __init__(self, root):
        self.root, self.repo = root, root / "repo"
        self.env = None  # of plain git
        self.repo.mkdir(parents=True)
        git(self.repo, "init", "-qb", "main")
        own.save(root, own.find(self.repo))

    def repository(self):
        return Repository(Tree(self.repo), self.root)

    def path(self, name):
        return os.path.join(os.fsencode(self.repo), os.fsencode(name))

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(data)

    def git(self, *args):
        """Run plain git; arguments may be bytes. Return its output, as it is."""
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@mesh.example")
        return subprocess.run(
            ["git", *identity, *args],
            cwd=self.repo,
            env=self.env,
            check=True,
            capture_output=True,
        ).stdout

    def commit(self):
        self.git("add", "--all", "--force")
        self.git("commit", "-qm", "work", "--allow-empty")

    def status(self):
        return self.git("status", "--porcelain", "-z", "--untracked-files=all")

    def listed(self):
        """Return the paths of the status, as the API names them."""
        repository = self.repository()
        return [file["path"] for file in repository.files(repository.facts())["files"]]


def files_in(folder):
    """Return every file below a folder: what kind it is, whether it is a program, its contents."""
    found = {}
    top = os.fsencode(folder)
    for where, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name != b".git"]
        for name in [*files, *(n for n in folders if os.path.islink(os.path.join(where, n)))]:
            path = os.path.join(where, name)
            mode = os.lstat(path).st_mode
            data = os.readlink(path) if stat.S_ISLNK(mode) else Path(os.fsdecode(path)).read_bytes()
            found[os.path.relpath(path, top)] = (stat.S_IFMT(mode), bool(mode & 0o100), data)
    return found


def restore(kept, folder):
    """Do what a person does with a kept folder, in a fresh checkout."""
    if (kept / "changes.patch").exists():
        subprocess.run(
            ["git", "apply", str(kept / "changes.patch")],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    if (kept / "new").exists():
        shutil.copytree(kept / "new", folder, symlinks=True, dirs_exist_ok=True)
