"""What the file tools refuse, and how the system's refusals are told."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from mesh.lib.errors import AppError


class PathOutside(AppError):
    code = "path_outside"
    text = "The path leads out of the working folder."
    hint = "Name a path inside of it, relative or absolute."


class GitFolder(AppError):
    code = "git_folder"
    text = "The path leads into git's own folder, or has a name that git takes for it."
    hint = "Use git itself in the shell, such as: git config, git log."
    status = 403


class BadPath(AppError):
    code = "bad_path"
    text = "That can't be the path of a file."
    hint = "Name a path inside the working folder."


class NoSuchFile(AppError):
    code = "no_such_file"
    text = "There is nothing at that path."
    hint = "Look with glob what is there."


class IsADirectory(AppError):
    code = "is_a_directory"
    text = "A folder is at that path."
    hint = "Name a file; glob lists what is in a folder."


class NotADirectory(AppError):
    code = "not_a_directory"
    text = "A part of the path, or the path, is not a folder."
    hint = "Look with glob what is there."


class NotAFile(AppError):
    code = "not_a_file"
    text = "At that path is neither a file nor a folder."
    hint = "Pipes, sockets and devices can't be read or written here."


class AlreadyExists(AppError):
    code = "already_exists"
    text = "Something is already at that path."
    hint = "Choose another name, or remove it first."
    status = 409


class NotPermitted(AppError):
    code = "not_permitted"
    text = "The system does not permit that."
    hint = "Look at the owner and the mode of the file."
    status = 403


class DiskFull(AppError):
    code = "disk_full"
    text = "The disk is full."
    hint = "Make room on that machine, then try again."
    status = 507


class FileTooLarge(AppError):
    code = "file_too_large"
    text = "The file is larger than what can be read or edited at once."
    hint = "Look for the part you need with grep, or take it with bash: sed -n, head, tail."
    status = 413


class BinaryFile(AppError):
    code = "binary_file"
    text = "The file is binary: it has a NUL byte near its beginning."
    hint = "Look at it with bash: file, xxd, strings."


class NothingToReplace(AppError):
    code = "no_match"
    text = "old_string does not occur in the file."
    hint = "Read the file again: spaces, tabs and line ends must be the same."


class Ambiguous(AppError):
    code = "several_matches"
    text = "old_string occurs more than once."
    hint = "Give more of the lines around it, or set replace_all."


class BadPattern(AppError):
    code = "bad_pattern"
    text = "The pattern can't be read."
    hint = "Escape what is meant as it stands, such as \\( or \\[."


class GrepFailed(AppError):
    code = "grep_failed"
    text = "The search failed."
    hint = "Search in a smaller folder, or with bash."
    status = 500


class SearchTooLong(AppError):
    code = "search_timeout"
    text = "The search took longer than 30 s."
    hint = "Search in a smaller folder, or for something more exact."
    status = 504


_OF_THE_SYSTEM: dict[int, type[AppError]] = {
    errno.ENOENT: NoSuchFile,
    errno.EISDIR: IsADirectory,
    errno.ENOTDIR: NotADirectory,
    errno.EEXIST: AlreadyExists,
    errno.ENOTEMPTY: AlreadyExists,
    errno.EACCES: NotPermitted,
    errno.EPERM: NotPermitted,
    errno.EROFS: NotPermitted,
    errno.ENOSPC: DiskFull,
    errno.EDQUOT: DiskFull,
    errno.ENAMETOOLONG: BadPath,
    errno.EINVAL: BadPath,
    errno.EXDEV: BadPath,
    # A link stands where none stood a moment ago; whoever put it there is not followed.
    errno.ELOOP: PathOutside,
    errno.ENXIO: NotAFile,
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise the system's refusals as ours, which name no path of the machine."""
    try:
        yield
    except OSError as exc:
        kind = _OF_THE_SYSTEM.get(exc.errno or 0)
        if kind is None:
            raise
        raise kind from exc
