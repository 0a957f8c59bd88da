"""What git's failures say: from its words on stderr to an error with a code and a hint. Pure.

git ends most failures with advice ("and the repository exists.", "hint: …"), so its last line
rarely says what happened. The telling lines are those that it marks itself (``fatal:``,
``error:``), those that a server sends (``remote:``), those of ssh, and a hook's own words.
"""

from __future__ import annotations

import re
import signal
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from mesh.git.errors import (
    AccessRefused,
    AddressMoved,
    BranchInUse,
    BranchNameBlocked,
    BranchOutdated,
    BranchUnknown,
    CertificateRefused,
    Corrupt,
    FilesInTheWay,
    FilterFailed,
    FormatUnknown,
    GitFailed,
    HostUnknown,
    IdentityMissing,
    KeyRefused,
    Locked,
    NoRepository,
    NoSpace,
    NotAGitServer,
    OwnerUnknown,
    ProtocolRefused,
    PushRefused,
    ReadOnly,
    RepositoryUnknown,
    ServerUnreachable,
    SignInNeeded,
)

WORDS_LIMIT: Final = 500  # characters of git's lines, and of the server's, in a sentence
READ_LIMIT: Final = 64 * 1024  # bytes of stderr that are read: the last ones

_TOKEN = re.compile(
    r"(?<=://)[^/\s]+(?=@)"
    r"|(?i:(?<=authorization: )(basic|bearer) \S+)"
    r"|(?i:(?<=token=)|(?<=password=)|(?<=secret=)|(?<=key=))[^&\s'\"]+"
    r"|\b(?:gh[opsur]_|github_pat_|glpat-)\w[\w-]*"
)

# The first that matches one of git's own lines decides; if none does, the server's lines are
# asked. What a server or a hook says may contain any of these words, so its refusals are first.
_KINDS: Final[tuple[tuple[type[GitFailed], str], ...]] = (
    (BranchOutdated, r"! \[rejected\].*\((fetch first|non-fast-forward|stale info|remote ref)"),
    (FilterFailed, r"(clean|smudge) filter '?\S+'? failed|external filter .* failed"),
    (PushRefused, r"! \[(remote )?rejected\]|hook declined|denying |protected branch"),
    (CertificateRefused, r"certificate (problem|verif|subject)|server certificate|CAfile"),
    (CertificateRefused, r"unable to get local issuer|self[- ]signed"),
    (HostUnknown, r"host key (verification failed|is known)|host identification has changed"),
    (KeyRefused, r"permission denied \([a-z,-]*(publickey|password|keyboard)"),
    (KeyRefused, r"too many authentication failures|no supported authentication methods"),
    (SignInNeeded, r"could not read (username|password)|authentication failed|terminal prompts"),
    (SignInNeeded, r"invalid (username|credentials)|returned error: (401|407)"),
    (AccessRefused, r"returned error: 403|permission to \S+ denied|access denied|not authorized"),
    (AccessRefused, r"not allowed to (push|access|download|upload)|insufficient permission to"),
    (AddressMoved, r"returned error: 30\d|unable to update url base from redirection"),
    (Locked, r"unable to create '.*\.lock': file exists|another git process seems to be running"),
    (Locked, r"could not lock (config )?file .*: file exists"),
    (NoSpace, r"no space left on device|disk quota exceeded|file too large|out of diskspace"),
    (ReadOnly, r"read-only file ?system|insufficient permission for adding an object"),
    (ReadOnly, r"(create|open|write|unlink|mkdir|lock|remove|rename|move).*: permission denied"),
    (OwnerUnknown, r"detected dubious ownership"),
    (FormatUnknown, r"expected git repo version|unknown repository extension"),
    (FormatUnknown, r"extension, which we do not understand|unknown (option|switch)"),
    (FormatUnknown, r"is not a git command|unknown ref storage format"),
    (BranchInUse, r"already (checked out|used by worktree)|refusing to fetch into .*checked out"),
    (BranchInUse, r"cannot force update the branch"),
    (BranchNameBlocked, r"cannot lock ref .*'refs/\S+' exists|there are still refs under"),
    (FilesInTheWay, r"would be (overwritten|removed) by|already exists and is not an empty"),
    (IdentityMissing, r"please tell me who you are|unable to auto-detect email|empty ident name"),
    (ProtocolRefused, r"transport '.*' not allowed|unable to find remote helper"),
    (BranchUnknown, r"remote branch .* not found|couldn't find remote ref|invalid (reference|up)"),
    (BranchUnknown, r"pathspec '.*' did not match|unknown revision|ambiguous argument"),
    (BranchUnknown, r"src refspec .* does not match any|not a valid (object|branch) name"),
    (BranchUnknown, r"not something we can merge"),
    (RepositoryUnknown, r"repository .*(not found|does not exist)|returned error: (404|410)"),
    (RepositoryUnknown, r"does not appear to be a git repository|no such remote|not exported"),
    (RepositoryUnknown, r"project .*could not be found|no such project"),
    (NotAGitServer, r"is this a git repository|not valid: |invalid content-type"),
    (
        ServerUnreachable,
        r"could not resolve (host|proxy)|temporary failure|timed? ?out|name or service not known"
        r"|connection (was )?(to .* )?(reset|refused|closed)|connection to .* closed"
        r"|failed to connect|couldn't connect|early eof|rpc failed|unexpected disconnect"
        r"|error: (429|5\d\d)|operation too slow|(remote end|other side) hung up|gnutls|ssl_"
        r"|no route to host|network is unreachable|kex_exchange|broken pipe|bytes of body are",
    ),
    (
        Corrupt,
        r"\bcorrupt|index file smaller|object file .* is empty"
        r"|bad (object|signature|index|tree|sha1)",
    ),
    (Corrupt, r"inflate: |unable to (read|unpack) |missing (blob|tree|commit)|invalid object"),
    (Corrupt, r"failed to read object|could not (parse|read) [0-9a-f]{7}|not all necessary"),
    (Corrupt, r"failed to traverse|did not send all|unresolved deltas|bad packed object"),
    (NoRepository, r"not a git repository|not in a git directory|bad config|bad git config"),
)
# What no line of advice or progress tells.
_NOISE: Final = re.compile(
    r"hint:|Cloning into |To \S+$|From \S+$|Preparing worktree|Switched to |HEAD is now at "
    r"|Please make sure (you have the correct|all processes)|and the repository exists"
    r"|Another git process seems|an editor opened by|are terminated then|may have crashed in"
    r"|remove the file manually|Please (move or remove|commit your changes)|Aborting$"
    r"|Warning: Permanently added|Everything up-to-date|Total \d+ \(delta|@{5}|\* \[new "
    r"|Delta compression using|Rebasing \(|(remote: )?"
    r"(Counting|Compressing|Receiving|Resolving|Writing|Enumerating|Unpacking|Updating|Filtering"
    r"|Checking|Deltifying|Auto packing)\b[^:]*:?\s+\d+[%,]",
)
# Repeated when git has said why before.
_WEAK: Final = re.compile(
    r"fatal: (Could not read from remote repository|the remote end hung up|protocol error: bad)"
    r"|fatal: early EOF|fatal: fetch-pack: invalid index-pack|fatal: index-pack failed"
    r"|error: failed to push some refs|remote: error: hook declined|remote: Total \d"
)
_MARKED: Final = re.compile(r"(fatal|error|ERROR|BUG|ssh): |! \[")
_ALSO: Final = re.compile(
    r"\S+: Permission denied|Host key |No \S+ host key|kex_exchange|Connection (closed|reset|to )"
    r"|Load key|Received disconnect|Too many auth"
    r"| +git config --global --add safe\.directory"
)
_FROM_SSH: Final = "fatal: Could not read from remote repository"
_REJECTED: Final = re.compile(
    r"! \[[a-z ]*rejected\] +(?:\S+ -> )?(?P<name>\S+)(?: \((?P<why>.*)\))?"
)
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LOCK: Final = re.compile(r"Unable to create '(?P<path>[^'\n]+\.lock)': File exists")


@dataclass(frozen=True, slots=True)
class Failure:
    """The error to raise, its sentence, and the lock file that was in the way, if any."""

    error: type[GitFailed]
    sentence: str
    lock: str = ""


def read_failure(command: str, err: bytes, exit_code: int) -> Failure:
    """Return what ``git <command>`` failed of, by what it wrote to stderr. Never raises."""
    lines = _lines(err)
    words = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    own = _telling([line for line in lines if not line.startswith("remote:")])
    said = "; ".join(dict.fromkeys(_bare(line) for line in own)).replace(":; ", ": ")
    theirs = " ".join(word for word in words if word)
    if theirs and _is_weak(own):
        said = ""  # the server has said why
    sentence = f"git {command} failed: {_cut(said) or _cut(theirs) or _ended(exit_code)}"
    if said and theirs:
        sentence += f" – the server says: {_cut(theirs)}"
    lock = _LOCK.search(err[-READ_LIMIT:].decode(errors="replace"))
    return Failure(_kind(own, words), sentence, lock["path"] if lock else "")


def redact(text: str) -> str:
    """Return ``text`` without the user and password before the @ of an address, and tokens."""
    return _TOKEN.sub("…", text)


def visible(text: str) -> str:
    """Return ``text`` on one line, with control characters as escapes that can be read."""
    return "".join(char if _is_plain(char) else _escape(char) for char in text)


def _lines(err: bytes) -> list[str]:
    """Return the lines that may tell something, in git's order, without secrets."""
    if len(err) > READ_LIMIT:
        # A line that is cut at its start could show a part of a secret.
        err = err[-READ_LIMIT:].partition(b"\n")[2]
    text = _COLOURS.sub("", err.decode(errors="backslashreplace"))
    found = []
    for line in text.split("\n"):
        # Progress overwrites its own line.
        last = line.rstrip("\r").rpartition("\r")[2].rstrip()
        if last.strip() and not _NOISE.match(last.strip()):
            found.append(redact(visible(last.replace("\t", "    "))))
    return found


def _telling(lines: list[str]) -> list[str]:
    """Return those of git's and ssh's lines that say why; all of them if none is marked."""
    ends = [number for number, line in enumerate(lines) if line.startswith(_FROM_SSH)]
    strong = [
        line
        for number, line in enumerate(lines)
        if _MARKED.match(line.strip())
        or _ALSO.match(line)
        or _is_listed(lines, number)
        # ssh's own, and what the server said through it
        or (ends and number < ends[0] and not line.startswith("warning: "))
    ]
    telling = [line for line in strong if not _WEAK.match(line)] or strong or lines
    return [line.strip() for line in telling]


def _is_listed(lines: list[str], number: int) -> bool:
    """Return whether a line is an indented entry (a file, a command) below a marked one."""
    above = number
    while above >= 0 and lines[above].startswith("    "):
        above -= 1
    return above not in (number, -1) and _MARKED.match(lines[above]) is not None


def _is_weak(lines: list[str]) -> bool:
    return all(_WEAK.match(line) for line in lines)


def _bare(line: str) -> str:
    if found := _REJECTED.match(line):
        why = f": {found['why']}" if found["why"] else ""
        return f"{found['name']} was refused{why}"
    return re.sub(r"^(fatal|error|ERROR): ", "", line)


def _kind(own: Iterable[str], words: Iterable[str]) -> type[GitFailed]:
    for lines in (own, words):
        text = "\n".join(lines)
        for kind, rule in _rules():
            if rule.search(text):
                return kind
    return GitFailed


@cache
def _rules() -> list[tuple[type[GitFailed], re.Pattern[str]]]:
    """Return the compiled ``_KINDS``: at the first failure, because most processes see none."""
    return [(kind, re.compile(words, re.IGNORECASE)) for kind, words in _KINDS]


def _cut(text: str) -> str:
    return text if len(text) <= WORDS_LIMIT else f"{text[:WORDS_LIMIT].rstrip()}…"


def _ended(exit_code: int) -> str:
    try:
        return f"ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"exit {exit_code}"


def _is_plain(char: str) -> bool:
    # Also no marks that change the direction of text, and no line separators.
    return char == " " or (unicodedata.category(char)[0] not in "CZ")


def _escape(char: str) -> str:
    code = ord(char)
    if unicodedata.category(char) == "Zs":
        return " "
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
