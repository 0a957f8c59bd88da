"""The source of an agent's files, from its metadata, and the parsing of repository addresses.

Metadata keeps the reference's shape (``githubRepo.url``), so it is not trusted: a value of the
wrong type counts as missing (chat-ui.md §1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from mesh.lib.errors import AppError
from mesh.lib.repositories import read_clone_url

# none: it needs no files, so there is nothing for a program on a machine to work on.
SourceKind = Literal["repository", "folder", "scratch", "none"]

LENGTH_LIMIT: Final = 500  # characters of an address or a folder
_SCP: Final = re.compile(r"(?P<user>[\w.-]+)@(?P<host>[\w.-]+):(?P<path>[^\s:][^\s]*)")
_SHORT: Final = re.compile(r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)")
_SAFE_PATH: Final = re.compile(r"[\w.~/-]+")
_PAGES: Final = ("/tree/", "/blob/", "/pull/", "/issues", "/actions", "/commit/", "/-/")


class BadRepository(AppError):
    code = "bad_repository"
    text = "This is not the address of a repository."
    hint = "Give an address such as https://github.com/acme/app."


class BadFolder(AppError):
    code = "bad_folder"
    text = "This is not a folder of a machine."
    hint = "Give its whole path, such as /home/ada/code/app or ~/code/app."


@dataclass(frozen=True, slots=True)
class Source:
    """``link_id`` names the machine that has the folder; empty: any that allows it."""

    kind: SourceKind
    url: str = ""
    folder: str = ""
    link_id: str = ""

    @property
    def has_files(self) -> bool:
        """Whether there are files for a program on a machine."""
        return self.kind != "none"

    @property
    def has_branches(self) -> bool:
        """Whether a chat can be on a branch of its own choosing."""
        return self.kind in ("repository", "folder")


@dataclass(frozen=True, slots=True)
class Repository:
    """An address that git can clone from, without anybody's secret in it."""

    url: str
    owner: str
    name: str

    def as_metadata(self) -> dict[str, str]:
        return {"url": self.url, "owner": self.owner, "name": self.name}


def source_of(metadata: dict[str, Any]) -> Source:
    """Return where the files of an agent with this metadata come from.

    A repository takes precedence over a folder; an agent with neither has an empty folder for each
    chat, unless its metadata says that it needs none.
    """
    if url := _clone_url(metadata):
        return Source("repository", url=url)
    if folder := _text(metadata.get("folder")):
        return Source("folder", folder=folder, link_id=_text(metadata.get("folderLink")))
    return Source("none" if metadata.get("files") == "none" else "scratch")


def _clone_url(metadata: dict[str, Any]) -> str:
    repo = metadata.get("githubRepo")
    return _text(repo.get("url")) if isinstance(repo, dict) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def read_repository(text: str) -> Repository:
    """Return the repository that a person means by ``text``.

    Accepted are ``https://…``, ``ssh://…``, ``git@host:owner/name`` and, for GitHub,
    ``owner/name`` and the address of a page within the repository. A password or token in the
    address is refused, not dropped: the person must learn that it is not stored and not needed.

    Raises:
        BadRepository: git could not clone it, or it contains a secret.
    """
    text = text.strip()
    if not text or len(text) > LENGTH_LIMIT or text.startswith("-"):
        raise BadRepository
    if short := _SHORT.fullmatch(text):
        return _repository(f"https://github.com/{text}", short["owner"], short["name"])
    if scp := _SCP.fullmatch(text):
        owner, name = _owner_and_name(scp["path"])
        return _repository(f"{scp['user']}@{scp['host'].lower()}:{owner}/{name}", owner, name)
    return _read_url(text)


def _read_url(text: str) -> Repository:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise BadRepository from exc
    if parts.scheme == "http":
        raise BadRepository(
            "Over http, others on the network could change what is cloned. Use https."
        )
    if parts.scheme not in ("https", "ssh") or not host:
        raise BadRepository
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise BadRepository(
            "The address contains a user name or a token. Leave it out: each person's machine "
            "clones with its own sign-in."
        )
    path = parts.path
    for page in _PAGES:  # a page of the repository, copied from the browser
        path = path.partition(page)[0] if parts.scheme != "ssh" else path
    owner, name = _owner_and_name(path)
    user = f"{parts.username}@" if parts.username else ""
    host = f"[{host}]" if ":" in host else host
    where = f"{user}{host}{f':{port}' if port else ''}"
    return _repository(f"{parts.scheme}://{where}/{owner}/{name}", owner, name)


def _owner_and_name(path: str) -> tuple[str, str]:
    """Return the folders (a group may have groups) and the name of a repository's path."""
    path = unquote(path).strip("/").removesuffix(".git")
    owner, slash, name = path.rpartition("/")
    if not slash or not owner or not _SAFE_PATH.fullmatch(path):
        raise BadRepository
    return owner, name


def _repository(url: str, owner: str, name: str) -> Repository:
    name = name.removesuffix(".git")
    words = [*owner.split("/"), name]
    if any(word in ("", ".", "..") or word.startswith("-") for word in words):
        raise BadRepository
    url = url.removesuffix(".git")
    if read_clone_url(url) is None:
        raise BadRepository
    return Repository(url, owner, name)


def read_folder(text: str) -> str:
    """Return the path of a folder on a machine; only the machine can check whether it exists.

    Raises:
        BadFolder: it is not an absolute path.
    """
    text = text.strip()
    is_whole = text.startswith(("/", "~/")) or re.match(r"[A-Za-z]:[\\/]", text)
    if not is_whole or len(text) > LENGTH_LIMIT or not text.isprintable():
        raise BadFolder
    if ".." in re.split(r"[\\/]", text):
        raise BadFolder
    return text.rstrip("/") or "/"
