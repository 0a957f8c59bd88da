"""What the file tools refuse, and how the system's errors are translated."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from mesh.lib.errors import AppError


class PathOutside(AppError):
    code = "path_outside"
    text = "The path leads out of the working folder."
    hint = "Give a path inside it, relative or absolute."


class GitFolder(AppError):
    code = "git_folder"
    text = "The path leads into git's own folder, or has a name that git takes for it."
    hint = "Use git itself in the shell, such as: git config, git log."
    status = 403


class BadPath(AppError):
    code = "bad_path"
    text = "That is not a valid file path."
    hint = "Give a path inside the working folder."


class NoSuchFile(AppError):
    code = "no_such_file"
    text = "There is nothing at that path."
    hint = "Use glob to see which files exist."


class IsADirectory(AppError):
    code = "is_a_directory"
    text = "That path is a folder."
    hint = "Give a file's path; glob lists the files of a folder."


class NotADirectory(AppError):
    code = "not_a_directory"
    text = "The path, or a part of it, is not a folder."
    hint = "Use glob to see which files exist."


class NotAFile(AppError):
    code = "not_a_file"
    text = "That path is neither a file nor a folder."
    hint = "Pipes, sockets and devices can't be read or written here."


class AlreadyExists(AppError):
    code = "already_exists"
    text = "Something is already at that path."
    hint = "Choose another name, or remove it first."
    status = 409


class NotPermitted(AppError):
    code = "not_permitted"
    text = "The system does not permit that."
    hint = "Check the owner and the mode of the file."
    status = 403


class DiskFull(AppError):
    code = "disk_full"
    text = "The disk is full."
    hint = "Free space on that machine, then try again."
    status = 507


class FileTooLarge(AppError):
    code = "file_too_large"
    text = "The file is too large to be read or edited in one piece."
    hint = "Find the part you need with grep, or read it with bash: sed -n, head, tail."
    status = 413


class BinaryFile(AppError):
    code = "binary_file"
    text = "The file is binary, not a text."
    hint = "Inspect it with bash: file, xxd, strings."


class NothingToReplace(AppError):
    code = "no_match"
    text = "old_string does not occur in the file."
    hint = "Read the file again: every character must match, blanks too. Line ends match any."


class Ambiguous(AppError):
    code = "several_matches"
    text = "old_string occurs more than once."
    hint = "Include more of the surrounding lines, or set replace_all."


class ChangedMeanwhile(AppError):
    code = "changed_meanwhile"
    text = "Somebody else changed the file at the same moment, so nothing was written."
    hint = "Read the file again, then repeat the edit."
    status = 409


class NotInEncoding(AppError):
    code = "not_in_encoding"
    text = "The text has characters that the file's encoding doesn't."
    hint = "Nothing was written. Write it without them, or write the file anew with encoding utf-8."


class EncodingUnknown(AppError):
    code = "encoding_unknown"
    text = "The file is not UTF-8, and its encoding isn't known."
    hint = "Name it in encoding, such as shift_jis, gb18030 or windows-1252."


class NotInThatEncoding(AppError):
    code = "other_encoding"
    text = "The file is not in that encoding."
    hint = "Leave encoding out to see what the file seems to be in, or name another one."


class BadPattern(AppError):
    code = "bad_pattern"
    text = "The pattern is invalid."
    hint = "Escape characters that are meant literally, such as \\( or \\[."


class GrepFailed(AppError):
    code = "grep_failed"
    text = "The search failed."
    hint = "Search in a smaller folder, or with bash."
    status = 500


class SearchTooLong(AppError):
    code = "search_timeout"
    text = "The search took longer than 30 s."
    hint = "Search in a smaller folder, or for something more specific."
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
    # A symbolic link appeared here a moment ago; it is not followed.
    errno.ELOOP: PathOutside,
    errno.ENXIO: NotAFile,
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise OSErrors as ours, which do not show the machine's paths."""
    try:
        yield
    except OSError as exc:
        kind = _OF_THE_SYSTEM.get(exc.errno or 0)
        if kind is None:
            raise
        raise kind from exc
