"""What is made of git's words when it fails: those of real runs, and any bytes at all."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.git import failures
from mesh.git.errors import GitFailed
from mesh.git.failures import Failure, read_failure, redact

IDENTITY = {
    **{
        f"GIT_{who}_{what}": "ada@mesh.example"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "LC_ALL": "C.UTF-8",
}


def run(folder: Path, *args: str, **env: str) -> tuple[int, bytes]:
    """Run a git command; return its exit code and its stderr."""
    done = subprocess.run(
        ["git", *args], cwd=folder, env=os.environ | IDENTITY | env, capture_output=True
    )
    return done.returncode, done.stderr


def good(folder: Path, *args: str) -> None:
    code, err = run(folder, *args)
    assert code == 0, err.decode()


def failing(folder: Path, *args: str, **env: str) -> Failure:
    code, err = run(folder, *args, **env)
    assert code != 0
    return read_failure(next(word for word in args if word[0] not in "-h"), err, code)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A person's repository with one commit, which its server has too."""
    good(tmp_path, "init", "-q", "--bare", "-b", "main", "server.git")
    good(tmp_path, "init", "-q", "-b", "main", "work")
    folder = tmp_path / "work"
    (folder / "a.txt").write_text("one\n")
    good(folder, "add", ".")
    good(folder, "commit", "-qm", "first")
    good(folder, "remote", "add", "origin", "../server.git")
    good(folder, "push", "-q", "origin", "main")
    return folder


def commit(work: Path, *more: str) -> None:
    good(work, "commit", "-q", "--allow-empty", "-m", "more", *more)


def hook(work: Path, name: str, script: str) -> None:
    file = work.parent / "server.git/hooks" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def refused_by_hook(name: str) -> Callable[[Path], Failure]:
    def fail(work: Path) -> Failure:
        hook(work, name, "echo 'JIRA-123 is missing'; echo 'No space left on device' >&2; exit 1")
        commit(work)
        return failing(work, "push", "origin", "main")

    return fail


def protected(work: Path) -> Failure:
    good(work.parent / "server.git", "config", "receive.denyNonFastForwards", "true")
    good(work, "commit", "-q", "--amend", "-m", "other")
    return failing(work, "push", "--force", "origin", "main")


def deleted(work: Path) -> Failure:
    good(work.parent / "server.git", "config", "receive.denyDeletes", "true")
    return failing(work, "push", "origin", ":main")


def outdated(work: Path) -> Failure:
    good(work, "commit", "-q", "--amend", "-m", "other")
    return failing(work, "push", "origin", "main")


def locked(work: Path) -> Failure:
    (work / ".git/index.lock").touch()
    return failing(work, "add", ".")


def ref_locked(work: Path) -> Failure:
    (work / ".git/refs/heads/main.lock").touch()
    return failing(work, "commit", "--allow-empty", "-m", "x")


def too_new(work: Path) -> Failure:
    good(work, "config", "core.repositoryFormatVersion", "99")
    return failing(work, "status")


def unknown_extension(work: Path) -> Failure:
    with (work / ".git/config").open("a") as file:
        file.write("[core]\nrepositoryformatversion = 1\n[extensions]\nnovelty = true\n")
    return failing(work, "status")


def corrupt_object(work: Path) -> Failure:
    for file in (work / ".git/objects").glob("??/*"):
        file.chmod(0o644)
        file.write_bytes(b"nonsense")
    return failing(work, "log", "-p")


def corrupt_index(work: Path) -> Failure:
    (work / ".git/index").write_bytes(b"nonsense")
    return failing(work, "status")


def bad_config(work: Path) -> Failure:
    (work / ".git/config").write_text("[core\n")
    return failing(work, "status")


def name_blocked(work: Path) -> Failure:
    good(work, "branch", "mesh")
    return failing(work, "branch", "mesh/one")


def in_the_way(work: Path) -> Failure:
    good(work, "checkout", "-qb", "other")
    (work / "a.txt").write_text("two\n")
    good(work, "commit", "-qam", "two")
    (work / "a.txt").write_text("three\n")
    return failing(work, "checkout", "main")


def no_space(work: Path) -> Failure:
    (work / "large.bin").write_bytes(os.urandom(1024 * 1024))
    limit = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    limit += "; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))"
    limit += "; os.execvp('git', ['git', *sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-c", limit, "add", "large.bin"],
        cwd=work, env=os.environ | IDENTITY, capture_output=True,
    )  # fmt: skip
    return read_failure("add", done.stderr, done.returncode)


def full_device(work: Path) -> Failure:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            ["git", "log"], cwd=work, env=os.environ | IDENTITY, stdout=full, stderr=subprocess.PIPE
        )
    return read_failure("log", done.stderr, done.returncode)


def no_identity(work: Path) -> Failure:
    env = {name: "" for name in IDENTITY if name.endswith(("_NAME", "_EMAIL"))}
    return failing(
        work, "-c", "user.useConfigOnly=true", "commit", "--allow-empty", "-m", "x", **env
    )


def foreign_owner(work: Path) -> Failure:
    return failing(work, "status", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")


def through_ssh(*lines: str) -> Callable[[Path], Failure]:
    """Return a failure whose ssh says these lines, as OpenSSH and servers do."""

    def fail(work: Path) -> Failure:
        ssh = work.parent / "ssh"
        said = "".join(f"printf '%s\\r\\n' \"{line}\" >&2\n" for line in lines)
        ssh.write_text(f"#!/bin/sh\n{said}exit 255\n")
        ssh.chmod(0o755)
        return failing(work, "ls-remote", "git@git.example:acme/app", GIT_SSH_COMMAND=str(ssh))

    return fail


def plain(*args: str) -> Callable[[Path], Failure]:
    return lambda work: failing(work, *args)


REAL = [
    pytest.param(
        refused_by_hook("pre-receive"),
        "git_push_refused",
        "git push failed: main was refused: pre-receive hook declined"
        " – the server says: JIRA-123 is missing No space left on device",
        id="a hook",
    ),
    pytest.param(
        refused_by_hook("update"), "git_push_refused", "JIRA-123 is missing", id="an update hook"
    ),
    pytest.param(
        protected,
        "git_push_refused",
        "denying non-fast-forward refs/heads/main",
        id="a protected branch",
    ),
    pytest.param(deleted, "git_push_refused", "denying ref deletion", id="a branch that stays"),
    pytest.param(
        outdated,
        "git_branch_outdated",
        "main was refused: non-fast-forward",
        id="commits of others",
    ),
    pytest.param(
        plain("clone", "../nope", "../x"),
        "git_repository_not_found",
        "'../nope' does not exist",
        id="a bad path",
    ),
    pytest.param(
        plain("fetch", "nope"),
        "git_repository_not_found",
        "'nope' does not appear",
        id="a bad remote",
    ),
    pytest.param(
        plain("push", "../nope", "main"),
        "git_repository_not_found",
        "git push failed: '../nope'",
        id="push to a bad path",
    ),
    pytest.param(
        plain("fetch", "origin", "nope"),
        "git_branch_not_found",
        "couldn't find remote ref nope",
        id="a missing ref",
    ),
    pytest.param(
        plain("clone", "-b", "nope", "../server.git", "../x"),
        "git_branch_not_found",
        "Remote branch nope",
        id="a clone of a missing branch",
    ),
    pytest.param(
        plain("push", "origin", "nope"),
        "git_branch_not_found",
        "src refspec nope",
        id="push of a missing branch",
    ),
    pytest.param(
        plain("checkout", "nope"), "git_branch_not_found", "'nope'", id="checkout of nothing"
    ),
    pytest.param(plain("rebase", "nope"), "git_branch_not_found", "'nope'", id="rebase on nothing"),
    pytest.param(
        plain("worktree", "add", "../x", "main"),
        "git_branch_in_use",
        "/work",
        id="checked out elsewhere",
    ),
    pytest.param(
        plain("clone", ".", "../server.git"),
        "git_files_in_the_way",
        "already exists",
        id="a folder in the way",
    ),
    pytest.param(in_the_way, "git_files_in_the_way", "a.txt", id="a file in the way"),
    pytest.param(locked, "git_locked", "index.lock", id="a lock of the index"),
    pytest.param(ref_locked, "git_locked", "main.lock", id="a lock of a branch"),
    pytest.param(
        name_blocked,
        "git_branch_name_blocked",
        "'refs/heads/mesh' exists",
        id="a name that is taken",
    ),
    pytest.param(no_space, "git_no_space", "File too large", id="a quota"),
    pytest.param(full_device, "git_no_space", "No space left on device", id="a full disk"),
    pytest.param(too_new, "git_too_old", "found 99", id="a newer format"),
    pytest.param(unknown_extension, "git_too_old", "novelty", id="an unknown extension"),
    pytest.param(corrupt_object, "git_corrupt", "", id="a damaged object"),
    pytest.param(corrupt_index, "git_corrupt", "index", id="a damaged index"),
    pytest.param(bad_config, "git_no_repository", "bad config", id="a damaged configuration"),
    pytest.param(
        plain("--git-dir=/nowhere", "status"),
        "git_no_repository",
        "not a git repository",
        id="no repository",
    ),
    pytest.param(no_identity, "git_no_identity", "", id="no author"),
    pytest.param(
        foreign_owner,
        "git_foreign_owner",
        "git config --global --add safe.directory",
        id="another owner",
    ),
    pytest.param(
        plain("ls-remote", "ext::true"),
        "git_protocol_refused",
        "'ext' not allowed",
        id="a protocol",
    ),
    pytest.param(plain("status", "--nonsense"), "git_too_old", "nonsense", id="an unknown option"),
    pytest.param(
        plain("clone", "https://127.0.0.1:1/a"), "git_network", "127.0.0.1", id="no server"
    ),
    pytest.param(
        through_ssh("git@git.example: Permission denied (publickey)."),
        "git_sign_in_needed",
        "git ls-remote failed: git@git.example: Permission denied (publickey).",
        id="ssh: no key",
    ),
    pytest.param(
        through_ssh("@@@@@@@@@@@", "Host key verification failed."),
        "git_host_unknown",
        "Host key verification failed.",
        id="ssh: unknown host",
    ),
    pytest.param(
        through_ssh("ssh: Could not resolve hostname git.example: Name or service not known"),
        "git_network",
        "Name or service not known",
        id="ssh: no such name",
    ),
    pytest.param(
        through_ssh("ssh: connect to host git.example port 22: Connection refused"),
        "git_network",
        "Connection refused",
        id="ssh: nobody answers",
    ),
    pytest.param(
        through_ssh("kex_exchange_identification: Connection closed by remote host"),
        "git_network",
        "kex_exchange",
        id="ssh: hung up",
    ),
    pytest.param(
        through_ssh("ERROR: Repository not found."),
        "git_repository_not_found",
        "git ls-remote failed: Repository not found.",
        id="ssh: no such repository",
    ),
    pytest.param(
        through_ssh(
            "remote: ",
            "remote: ERROR: The project you were looking for could not be found or you"
            " don't have permission to view it.",
            "remote: ",
        ),
        "git_repository_not_found",
        "you were looking for",
        id="ssh: no such project",
    ),
    pytest.param(
        through_ssh("The office is closed."),
        "checkout_failed",
        "The office is closed.",
        id="ssh: other words",
    ),
]


@pytest.mark.programs
@pytest.mark.parametrize(("fail", "code", "words"), REAL)
def test_a_failure_of_real_git_is_of_its_kind_and_says_why(work, fail, code, words):
    failure = fail(work)

    assert (failure.error.code, words in failure.sentence) == (code, True), failure.sentence
    assert "the repository exists" not in failure.sentence
    assert "hint:" not in failure.sentence
    assert failure.error.hint != GitFailed.hint or code == "checkout_failed"


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every request with the status that its path begins with."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"words of the server\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.programs
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "git_sign_in_needed"),
        (403, "git_access_refused"),
        (404, "git_repository_not_found"),
        (410, "git_repository_not_found"),
        (301, "git_moved"),
        (302, "git_moved"),
        (429, "git_network"),
        (500, "git_network"),
        (503, "git_network"),
    ],
)
def test_what_a_web_server_answers(tmp_path, web, status, code):
    redirects = ("-c", "http.followRedirects=false")
    _, err = run(tmp_path, *redirects, "clone", f"{web}/{status}/ada/app")

    assert read_failure("clone", err, 128).error.code == code


@pytest.mark.programs
def test_a_certificate_that_nobody_knows(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-subj", "/CN=localhost"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *a: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    failure = failing(tmp_path, "ls-remote", f"https://127.0.0.1:{server.server_port}/200/x")
    server.shutdown()
    server.server_close()

    assert failure.error.code == "git_certificate"


@pytest.mark.parametrize(
    ("err", "code", "words"),
    [
        pytest.param(
            b"remote: error: GH006: Protected branch update failed for refs/heads/main.\n"
            b"To https://git.example/a/b\n"
            b" ! [remote rejected] main -> main (protected branch hook declined)\n"
            b"error: failed to push some refs to 'https://git.example/a/b'\n",
            "git_push_refused",
            "GH006: Protected branch update failed",
            id="GitHub's protected branch",
        ),
        pytest.param(
            b"remote: Repository not found.\n"
            b"fatal: Authentication failed for 'https://ada:pa/ss@git.example/a/b/'\n",
            "git_sign_in_needed",
            "Authentication failed for 'https://",
            id="an old password",
        ),
        pytest.param(
            b"error: insufficient permission for adding an object to repository database .git\n",
            "git_read_only",
            "insufficient permission",
            id="a folder of another user",
        ),
        pytest.param(
            b"error: could not write config file .git/config: Read-only file system\n",
            "git_read_only",
            "Read-only file system",
            id="a read-only disk",
        ),
        pytest.param(
            b"fatal: unable to create '/x/.git/index': Permission denied\n",
            "git_read_only",
            "Permission denied",
            id="a read-only folder",
        ),
        pytest.param(
            b"Receiving objects:  10% (1/10)\rReceiving objects:  20% (2/10)\r\n"
            b"remote: Compressing objects: 100% (3/3), done.\r\n"
            b"fetch-pack: unexpected disconnect while reading sideband packet\n"
            b"fatal: early EOF\nfatal: fetch-pack: invalid index-pack output\n",
            "git_network",
            "early EOF",
            id="a connection that broke",
        ),
        pytest.param(
            b"error: RPC failed; curl 56 GnuTLS recv error (-9)\nfatal: early EOF\n",
            "git_network",
            "RPC failed; curl 56",
            id="a transfer that broke",
        ),
        pytest.param(
            b"lint.............Failed\nfix it\n",
            "checkout_failed",
            "git x failed: lint.............Failed; fix it",
            id="the words of a local hook",
        ),
        pytest.param(
            b"fatal: \x1b[31mred\x1b[0m \x07bell \xe2\x80\xaeflip \xff\n",
            "checkout_failed",
            "red \\x07bell \\u202eflip \\xff",
            id="control characters",
        ),
    ],
)
def test_words_that_other_systems_say(err, code, words):
    failure = read_failure("x", err, 128)

    assert (failure.error.code, words in failure.sentence) == (code, True), failure.sentence


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(128, "git fetch failed: exit 128"), (-15, "git fetch failed: ended by SIGTERM")],
)
def test_silence_is_told_by_how_git_ended(exit_code, words):
    assert read_failure("fetch", b"\r\n", exit_code).sentence == words


@pytest.mark.parametrize(
    "text",
    [
        "https://ada:hunter2@host/x",
        "https://ada:hun@hunter2@host/x",
        "https://hunter2@host",
        "https://host/x?access_token=hunter2&a=b",
        "Authorization: Basic hunter2",
        "token ghp_hunter2hunter2",
        "glpat-hunter2-xyz",
    ],
)
def test_secrets_are_not_repeated(text):
    assert "hunter2" not in redact(text)
    assert "hunter2" not in read_failure("x", f"fatal: {text}\n".encode(), 1).sentence


def test_a_secret_at_the_cut_is_not_shown_in_part():
    err = b"fatal: https://ada:" + b"hunter2" * (failures.READ_LIMIT // 7) + b"@host/x\nfatal: so\n"

    assert read_failure("x", err, 1).sentence == "git x failed: so"


def test_a_long_answer_is_cut_and_a_huge_one_is_read_at_its_end():
    err = b"remote: spam\n" * 1_000_000 + b"fatal: " + b"x" * 5000 + b"\n"

    sentence = read_failure("fetch", err, 1).sentence

    assert "xxx" in sentence
    assert len(sentence) < 2 * failures.WORDS_LIMIT + 100


PIECES = st.sampled_from(
    [
        *(b"fatal: ", b"error: ", b"remote: ", b"! [remote rejected] a -> b (c)", b"hint: "),
        *(b"\r", b"\n", b"\t", b"\x1b[", b" ", b"https://a:b@"),
        b"fatal: Could not read from remote repository.",
    ]
)


@given(
    st.lists(PIECES | st.binary(max_size=20), max_size=30).map(b"".join),
    st.integers(-70, 300),
)
def test_any_bytes_become_one_sentence(err, code):
    failure = read_failure("fetch", err, code)

    assert failure.sentence.startswith("git fetch failed: ")
    assert failure.sentence.isprintable()
    assert len(failure.sentence) < 2 * failures.WORDS_LIMIT + 100
    assert issubclass(failure.error, GitFailed)


def test_no_two_kinds_share_a_code_unless_one_is_the_other():
    kinds = {kind for kind, _ in failures._KINDS}

    for kind in kinds:
        same = {other for other in kinds if other.code == kind.code}
        assert all(
            issubclass(one, other) or issubclass(other, one) for one in same for other in same
        )
