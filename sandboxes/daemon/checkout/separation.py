"""Gives the programs in a worktree a configuration and hooks of their own. Blocking.

Why and what: ``mesh.git.separate``. The worktree's git directory is in the person's repository,
where an agent may have put anything meanwhile: nothing is written through a link.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mesh.git import separate
from mesh.git.calls import Outside
from mesh.git.own import Own
from mesh.lib.errors import AppError
from mesh.lib.git_config import parse
from mesh.plain_files import new_plain, open_plain
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices

logger = logging.getLogger(__name__)

NOT_SEPARATE: Final = "configuration_shared"  # the code of the notice
BASE: Final = "config.base"  # beside the working folder: the person's configuration as last copied
CONFIG_LIMIT: Final = 1024 * 1024
MOST_HOOKS: Final = 200
HOOK_LIMIT: Final = 10 * 1024 * 1024  # bytes of one
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# No program in a worktree may clear up in the person's repository, unless told to.
_OURS: Final = (
    b"[gc]\n\tauto = 0\n\tpruneExpire = never\n\tworktreePruneExpire = never\n"
    b"[maintenance]\n\tauto = false\n"
)


def separate_programs(main: Own, made: Own, git: Git, notices: Notices) -> None:
    """Keep what programs in the worktree ``made`` configure out of the person's repository.

    Safe to repeat: settings that were made in the worktree stay, and settings that the person
    changed since are taken over. If it fails, a notice says that the worktree shares them.
    """
    notices.forget(NOT_SEPARATE)
    root = made.top.parent
    try:
        with _opened(made.git_dir) as git_dir:
            if not _make(git_dir, separate.FOLDER) and not _is_folder(git_dir, separate.FOLDER):
                os.unlink(separate.FOLDER, dir_fd=git_dir)
                _make(git_dir, separate.FOLDER)
            with _opened(separate.FOLDER, git_dir) as place:
                _link(place, main.common)
                _copy_hooks(place, main)
                _copy_info(place, main.common)
                _copy_config(place, main.common / "config", root, git)
            # Last: until it is whole, git takes everything from the person's repository.
            _write(git_dir, "commondir", f"{separate.FOLDER}\n".encode(), 0o644)
    except (AppError, OSError) as exc:
        logger.warning("worktree %s shares its configuration: %s", made.top, exc)
        text = "What programs configure in this chat's folder also changes your own checkout"
        notices.add(NOT_SEPARATE, f"{text}: {exc}")


def _link(place: int, common: Path) -> None:
    for name, target in separate.links_of(common).items():
        try:
            if os.readlink(name, dir_fd=place) == target:
                continue
        except FileNotFoundError:
            pass
        except OSError:
            continue  # a program made something of its own there
        draft = f".{name}.{secrets.token_hex(4)}"
        os.symlink(target, draft, dir_fd=place)
        os.rename(draft, name, src_dir_fd=place, dst_dir_fd=place)


def _copy_hooks(place: int, main: Own) -> None:
    """Copy the person's hooks once; afterwards they are the worktree's own."""
    if _is_there(place, "hooks"):
        return
    source = main.common / "hooks"
    with _new_folder(place, "hooks") as hooks:
        names = [name for name in _names(source) if not name.endswith(".sample")]
        for name in names[:MOST_HOOKS]:
            _copy_hook(source / name, hooks, main)


def _copy_hook(hook: Path, hooks: int, main: Own) -> None:
    target = hook.resolve()
    is_theirs = any(target.is_relative_to(top.resolve()) for top in (main.top, main.common))
    try:
        mode = target.stat().st_mode
        if is_theirs and stat.S_ISREG(mode):
            # Also of a link, because an installer that writes to it would follow it.
            _write(hooks, hook.name, _read(target, HOOK_LIMIT), stat.S_IMODE(mode) & 0o777)
        else:
            os.symlink(target, hook.name, dir_fd=hooks)
    except OSError as exc:
        logger.warning("the hook %s was not copied: %s", hook.name, exc)


def _copy_info(place: int, common: Path) -> None:
    if _is_there(place, "info"):
        return
    with _new_folder(place, "info") as info:
        for name in ("exclude", "attributes"):
            try:
                _write(info, name, _read(common / "info" / name, CONFIG_LIMIT), 0o644)
            except FileNotFoundError:
                continue


def _copy_config(place: int, config: Path, root: Path, git: Git) -> None:
    """Copy the person's configuration, or take over what they changed since it was copied."""
    theirs = _prepared(config, root, git)
    base = root / BASE
    try:
        before = _read(base, CONFIG_LIMIT)
        current = _read(Path("config"), CONFIG_LIMIT, place)
    except OSError:
        before = current = b""  # none yet, or no file any more
    if current and theirs == before:
        return
    merged = _merged(current, before, theirs, root, git) if current else theirs
    mode = stat.S_IMODE(config.stat().st_mode) & 0o777
    _write(place, "config", merged, mode)
    with _opened(root) as folder:
        _write(folder, BASE, theirs, 0o600)


def _prepared(config: Path, root: Path, git: Git) -> bytes:
    """Return the person's configuration as it means the same in another folder."""
    draft = root / f".{BASE}.draft"
    _put(draft, _read(config, CONFIG_LIMIT) + b"\n" + _OURS)
    try:
        outside = Outside(root)
        asked = ("config", "--file", str(draft), "--no-includes", "--list", "-z")
        for key, value in parse(os.fsdecode(git.output(outside, *asked))):
            is_include = key == "include.path" or key.startswith("includeif.")
            if is_include and value and not value.startswith(("/", "~", "%")):
                absolute = os.path.normpath(config.parent / value)
                change = ("--replace-all", "--fixed-value", key, absolute, value)
                git.run(outside, "config", "--file", str(draft), *change)
        return _read(draft, CONFIG_LIMIT * 2)
    finally:
        draft.unlink(missing_ok=True)


def _merged(current: bytes, before: bytes, theirs: bytes, root: Path, git: Git) -> bytes:
    """Return the worktree's configuration with the person's changes; its own ones win."""
    names = ("current", "before", "theirs")
    drafts = [root / f".{BASE}.{name}" for name in names]
    try:
        for draft, data in zip(drafts, (current, before, theirs), strict=True):
            _put(draft, data)
        files = map(str, drafts)
        git.run(Outside(root), "merge-file", "--quiet", "--ours", *files)
        return _read(drafts[0], CONFIG_LIMIT * 4)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def _put(file: Path, data: bytes) -> None:
    with os.fdopen(new_plain(file), "wb") as new:
        new.write(data)


@contextmanager
def _opened(folder: str | Path, within: int | None = None) -> Iterator[int]:
    handle = os.open(folder, _FOLDER, dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)


def _make(folder: int, name: str) -> bool:
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:
        return False
    return True


@contextmanager
def _new_folder(within: int, name: str) -> Iterator[int]:
    """Yield a new folder, which gets its name when it is complete: a half of it would stay."""
    draft = f".{name}.{secrets.token_hex(4)}"
    os.mkdir(draft, dir_fd=within)
    with _opened(draft, within) as folder:
        yield folder
    os.rename(draft, name, src_dir_fd=within, dst_dir_fd=within)


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_folder(folder: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _read(path: Path, limit: int, within: int | None = None) -> bytes:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = open_plain(path, flags) if within is None else os.open(path, flags, dir_fd=within)
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > limit:
            raise OSError(f"{path} is not a regular file, or too large.")
        return file.read(limit)


def _write(folder: int, name: str, data: bytes, mode: int) -> None:
    """Put a new file in the place of ``name``, which may have become a link."""
    draft = f".{name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(draft, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), mode)
    os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
