"""What is in the files, and how they are named."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

from tests.sandboxes.repositories.kind import Kind
from tests.sandboxes.repositories.making import commit, git, program, shared, write

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 5\n"
NO_LFS = tuple(
    word
    for key in ("clean", "smudge", "process", "required")
    for word in ("-c", f"filter.lfs.{key}=")
)
LARGE = 8 * 1024 * 1024
ODD_NAMES: tuple[str | bytes, ...] = (
    *(" first", "last ", "a b", "new\nline", "tab\there", 'quo"te', "back\\slash", "-dash"),
    *(":(top)x", "*", "[a]", "!not", "#hash", "ünï", "\u0065\u0301", "\x01", "~", "$HOME", "a;b"),
    *("dir with space/ x ", b"caf\xe9", b"dir\xff/x", "é\nü", "HEAD", "--", "index.lock", "con"),
)


def _odd_names(folder: Path) -> Path:
    return shared(folder, files=dict.fromkeys(ODD_NAMES, b"one\n"))


def _encodings(folder: Path) -> Path:
    return shared(
        folder,
        files={
            "latin1.txt": b"caf\xe9\nna\xefve\n",
            "utf16.txt": "caf\u00e9\n".encode("utf-16"),
            "bom.txt": b"\xef\xbb\xbfone\n",
            "binary": bytes(range(256)) * 4,
            "open.txt": b"no line end",
            "blank.txt": b"one\n\n\n\n",
            "spaces.txt": b"one  \n \n\t\n",
            "empty.txt": b"",
            "controls.txt": b"\x1b[31mred\x1b[0m\x07\n",
            "separators.txt": "a\u2028b\x85c\x0bd\x0ce\n".encode(),
            "cr.txt": b"one\rtwo\r",
            "crlf.txt": b"one\r\ntwo\r\n",
            "mixed.txt": b"one\r\ntwo\nthree\r",
            "nul.txt": b"one\0two\n",
        },
    )


def _line_endings(folder: Path) -> Path:
    project = shared(
        folder,
        files={
            ".gitattributes": b"* text=auto\n*.bat text eol=crlf\n*.sh eol=lf\n*.bin -text\n",
            "run.bat": b"echo one\r\necho two\r\n",
            "run.sh": b"echo one\n",
            "raw.bin": b"one\r\ntwo\n",
            "note.txt": b"one\ntwo\n",
        },
    )
    git(project, "config", "core.autocrlf", "true")
    return project


def _attributes(folder: Path) -> Path:
    return shared(
        folder,
        files={
            ".gitattributes": (
                b"utf16.txt working-tree-encoding=UTF-16LE-BOM\n$*.c ident\nident.c ident\n"
                b"*.gen -diff linguist-generated\nlog merge=union\n"
            ),
            "ident.c": b"/* $Id$ */\n",
            "a.gen": b"generated\n",
            "log": b"one\n",
            "utf16.txt": b"\xff\xfe" + "caf\u00e9\n".encode("utf-16-le"),
        },
    )


def _lfs(folder: Path) -> Path:
    """Pointers whose files git-lfs would fetch; it need not be installed."""
    project = shared(
        folder, files={".gitattributes": b"*.psd filter=lfs diff=lfs merge=lfs -text\n"}
    )
    write(project, {"picture.psd": POINTER % hashlib.sha256(b"12345").hexdigest().encode()})
    for key, value in (
        ("clean", "git-lfs clean -- %f"),
        ("smudge", "git-lfs smudge -- %f"),
        ("process", "git-lfs filter-process"),
        ("required", "true"),
    ):
        git(project, "config", f"filter.lfs.{key}", value)
    git(project, *NO_LFS, "add", "--all")
    git(project, *NO_LFS, "commit", "-q", "-m", "a picture")
    git(project, "push", "-q", "--no-verify")
    return project


UPPER = {"clean": "tr a-z A-Z", "smudge": "tr A-Z a-z"}


def _filter(folder: Path) -> Path:
    """A filter that is set in the repository's own configuration."""
    project = shared(folder)
    for key, value in UPPER.items():
        made = program(folder, f"filter-{key}", does=value)
        git(project, "config", f"filter.upper.{key}", str(made))
    return _filtered(project)


def _filtered(project: Path) -> Path:
    commit(project, {".gitattributes": b"*.up filter=upper\n", "word.up": b"word\n"})
    git(project, "push", "-q")
    return project


def _large(folder: Path) -> Path:
    return shared(folder, files={"large.bin": random.Random(1).randbytes(LARGE)})


def _links(folder: Path) -> Path:
    project = shared(folder)
    for name, target in {
        "to-file": "README.md",
        "to-folder": "src",
        "up": "../outside",
        "absolute": "/nowhere/at/all",
        "to-itself": "to-itself",
        "src/to-git": "../.git",
    }.items():
        os.symlink(target, project / name)
    commit(project, {})
    git(project, "push", "-q")
    return project


def _modes(folder: Path) -> Path:
    project = shared(folder, files={"run.sh": b"#!/bin/sh\n", "plain.sh": b"#!/bin/sh\n"})
    (project / "run.sh").chmod(0o755)
    commit(project, {})
    git(project, "push", "-q")
    return project


def _no_modes(folder: Path) -> Path:
    project = _modes(folder)
    git(project, "config", "core.fileMode", "false")
    (project / "plain.sh").chmod(0o755)
    return project


def _cases(folder: Path) -> Path:
    names = ("Readme.txt", "readme.txt", "README.TXT", "Dir/a", "dir/a", "\u00c4.txt", "\u00e4.txt")
    return shared(folder, files={name: name.encode() for name in names})


def _needed(folder: Path) -> Path:
    """Ignored files without which the project does not run."""
    project = shared(
        folder,
        files={
            ".gitignore": b"build/\n.env\n*.local\n",
            ".worktreeinclude": b".env\nconfig/*.local\n",
        },
    )
    write(project, {".env": b"KEY=for tests\n", "config/dev.local": b"dev\n", "build/x": b"x\n"})
    return project


def _deep(folder: Path) -> Path:
    deep = "/".join(["directory"] * 40)
    return shared(folder, files={f"{deep}/file.txt": b"deep\n", "n" * 255: b"long\n"})


KINDS = {
    "odd names": Kind(
        make=_odd_names, says="names with spaces, line breaks and bytes", remote="origin"
    ),
    "encodings": Kind(make=_encodings, says="Latin-1, UTF-16 and binary files", remote="origin"),
    "line endings": Kind(
        make=_line_endings, says="CRLF by attributes", remote="origin", is_converted=True
    ),
    "attributes": Kind(
        make=_attributes, says="ident and other encodings", remote="origin", is_converted=True
    ),
    "LFS": Kind(
        make=_lfs,
        says="large files kept by git-lfs, which is not installed",
        remote="origin",
        is_whole=False,
        plainly=NO_LFS,
        without="git-lfs",
        publish_refused="lfs_missing",
    ),
    "filter": Kind(
        make=lambda folder: _filtered(shared(folder)),
        says="a filter of the person's",
        remote="origin",
        gitconfig="".join(f'[filter "upper"]\n\t{key} = {UPPER[key]}\n' for key in UPPER),
    ),
    "filter of the repository": Kind(
        make=_filter,
        says="a filter of the repository's own",
        remote="origin",
        is_whole=False,
        is_converted=True,
        plainly=("-c", "filter.upper.clean=", "-c", "filter.upper.smudge="),
        publish_refused="git_filter_failed",
    ),
    "large file": Kind(make=_large, says="a large binary file", remote="origin"),
    "links": Kind(make=_links, says="symbolic links", remote="origin"),
    "modes": Kind(make=_modes, says="files that can be run", remote="origin"),
    "no modes": Kind(
        make=_no_modes, says="modes that git ignores", remote="origin", is_converted=True
    ),
    "cases": Kind(make=_cases, says="names that differ in case only", remote="origin"),
    "ignored files needed": Kind(
        make=_needed,
        says="ignored files that the project needs",
        remote="origin",
        brings=(".env", "config/dev.local"),
    ),
    "deep paths": Kind(make=_deep, says="deep folders and long names", remote="origin"),
}
