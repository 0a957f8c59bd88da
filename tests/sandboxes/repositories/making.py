"""Plain git, as a person types it: what the kinds of repositories are made with."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "Ada"),
        ("EMAIL", "ada@mesh.example"),
        ("DATE", "2026-01-01T12:00:00Z"),
    )
}
FILES: dict[str | bytes, bytes] = {
    "README.md": b"A project.\n",
    "src/app.py": b"print('one')\n",
    ".gitignore": b"build/\n",
}


def git(folder: Path, *args: str | bytes | Path, given: bytes = b"") -> str:
    """Run git as the person does, with their own settings and hooks; return what it says."""
    done = subprocess.run(
        ["git", *args],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name[:4] != "GIT_"} | WHO,
        input=given,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, f"git {args!r} failed: {done.stderr.decode(errors='replace')}"
    return os.fsdecode(done.stdout.removesuffix(b"\n"))


def write(folder: Path, files: dict[str | bytes, bytes]) -> None:
    """Write files; a name in bytes need not be UTF-8."""
    for name, data in files.items():
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def commit(folder: Path, files: dict[str | bytes, bytes], message: str = "more") -> None:
    write(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)


def local(folder: Path, *options: str, files: dict[str | bytes, bytes] | None = None) -> Path:
    """Make a repository without a remote in ``folder``/project; ``options`` are those of init."""
    project = folder / "project"
    git(folder, "init", "-q", "-b", "main", *options, project)
    commit(project, FILES | (files or {}), "first")
    return project


def server(folder: Path, *options: str, name: str = "server") -> Path:
    """Make an empty repository that others push to."""
    place = folder / f"{name}.git"
    git(folder, "init", "-q", "-b", "main", "--bare", *options, place)
    return place


def share(project: Path, place: Path, *, remote: str = "origin", branch: str = "main") -> None:
    """Publish the project's branch to a server, as the first push does."""
    git(project, "remote", "add", remote, place)
    git(project, "push", "-q", "-u", remote, branch)
    git(project, "remote", "set-head", remote, branch)


def shared(
    folder: Path,
    *options: str,
    files: dict[str | bytes, bytes] | None = None,
    remote: str = "origin",
) -> Path:
    """Make a project whose branch main is also on a server."""
    project = local(folder, *options, files=files)
    share(project, server(folder, *options), remote=remote)
    return project


def cloned(folder: Path, *options: str, name: str = "project") -> Path:
    """Make a server with three commits and another branch; return a clone of it."""
    first = shared(folder)
    commit(first, {"second.txt": b"two\n"}, "second")
    commit(first, {"third.txt": b"three\n"}, "third")
    git(first, "push", "-q", "origin", "main", "main:refs/heads/other")
    first.rename(folder / "elsewhere")
    git(folder, "clone", "-q", *options, f"file://{folder}/server.git", folder / name)
    return folder / name


def program(folder: Path, name: str, *, does: str = "") -> Path:
    """Make a program that notes in ``folder``/ran that it ran."""
    place = folder / "programs" / name
    hook(place, folder, name, does=does)
    return place


def hook(place: Path, folder: Path, name: str, *, does: str = "") -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\necho {name} >>{shlex.quote(str(folder / 'ran'))}\n{does}\n")
    place.chmod(0o755)


def ran(folder: Path) -> set[str]:
    """Return the programs of ``program`` and ``hook`` that ran."""
    noted = folder / "ran"
    return set(noted.read_text().split()) if noted.exists() else set()
