"""Which addresses git may be given: read as git itself reads them, and refused by a rule."""

from __future__ import annotations

import os
import socket
import subprocess
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.core.source import BadRepository, read_repository
from agents.repositories import allowed_repository
from links.daemon.errors import BadSpec
from links.daemon.spec import parse_spec
from mesh.git.calls import build
from mesh.git.errors import AddressRefused
from mesh.lib.addresses import parse_allowed
from mesh.lib.repositories import (
    CloneUrl,
    Unclonable,
    is_local_name,
    parse_clone_url,
    read_clone_url,
)
from sandboxes.daemon.checkout.clones import checked_address

HOST, V6 = "git.example.com", "2606:4700::1111"


def ssh(path, *, host=HOST, port=22, user=""):
    return CloneUrl("ssh", host, port, user, path)


def https(path, *, host=HOST, port=443, user=""):
    return CloneUrl("https", host, port, user, path)


OVER_SSH = [
    (f"git@{HOST}:acme/app.git", ssh("acme/app.git", user="git")),
    (f"git@{HOST}:app.git", ssh("app.git", user="git")),
    (f"git@{HOST}:/srv/git/app.git", ssh("/srv/git/app.git", user="git")),
    (f"git@{HOST}:~ada/app", ssh("~ada/app", user="git")),
    (f"git@{HOST}:../app", ssh("../app", user="git")),
    (f"git@{HOST}:a b/c++ d", ssh("a b/c++ d", user="git")),
    (f"git@{HOST}:a%20b", ssh("a%20b", user="git")),
    (f"git@{HOST}:2222/app", ssh("2222/app", user="git")),
    (f"git@{HOST}:app/", ssh("app/", user="git")),
    (f"git@{HOST}:a@b:c", ssh("a@b:c", user="git")),
    (f"git@{HOST}:ä/日本", ssh("ä/日本", user="git")),
    (f"git@{HOST}:a;b'c\"d$(e)`f`", ssh("a;b'c\"d$(e)`f`", user="git")),
    (f"{HOST}:path", ssh("path")),
    (f"ada.b+c@{HOST}:x", ssh("x", user="ada.b+c")),
    (f"ada@corp.example@{HOST}:x", ssh("x", user="ada@corp.example")),
    ("GIT@Git.Example.COM:x", ssh("x", user="GIT")),
    ("git_hub.example.com:x", ssh("x", host="git_hub.example.com")),
    (f"[{V6}]:x", ssh("x", host=V6)),
    (f"git@[{V6}]:x", ssh("x", host=V6, user="git")),
    (f"[{HOST}:2222]:x", ssh("x", port=2222)),
    (f"[git@{HOST}:2222]:x", ssh("x", port=2222, user="git")),
    (f"ssh://git@{HOST}/app.git", ssh("app.git", user="git")),
    (f"ssh://{HOST}/acme/app", ssh("acme/app")),
    (f"ssh://git@{HOST}:2222/acme/app/", ssh("acme/app/", port=2222, user="git")),
    (f"ssh://git@{HOST}:/acme/app", ssh("acme/app", user="git")),
    (f"ssh://{HOST}/~ada/app", ssh("~ada/app")),
    (f"ssh://{HOST}/a%20b", ssh("a b")),
    (f"ssh://{HOST}/a b", ssh("a b")),
    (f"ssh://{HOST}/a%zz", ssh("a%zz")),
    (f"ssh://{HOST}/a?b#c", ssh("a?b#c")),
    (f"ssh://{HOST}/a@b:c", ssh("a@b:c")),
    (f"ssh://{HOST}//srv/app", ssh("/srv/app")),
    (f"ssh://ada%40corp.example@{HOST}/a", ssh("a", user="ada@corp.example")),
    (f"ssh://[{V6}]/a", ssh("a", host=V6)),
    (f"ssh://git@[{V6}]:2222/a", ssh("a", host=V6, port=2222, user="git")),
    (f"git+ssh://git@{HOST}/a", ssh("a", user="git")),
    (f"ssh+git://{HOST}/a", ssh("a")),
]
OVER_HTTPS = [
    (f"https://{HOST}/acme/app", https("acme/app")),
    (f"https://{HOST}/acme/app.git", https("acme/app.git")),
    (f"https://{HOST}/acme/app/", https("acme/app/")),
    (f"https://{HOST}/app.git", https("app.git")),
    (f"https://{HOST}/a/b/c/d", https("a/b/c/d")),
    (f"https://{HOST}/c++/a+b", https("c++/a+b")),
    (f"https://{HOST}/a%20b/c", https("a%20b/c")),
    (f"https://{HOST}/~ada/app", https("~ada/app")),
    (f"https://{HOST}/a/-b", https("a/-b")),
    (f"https://{HOST}/ä", https("ä")),
    (f"https://{HOST}//a", https("/a")),
    (f"https://{HOST}/a@b:c", https("a@b:c")),
    (f"https://{HOST}/a;b", https("a;b")),
    (f"https://{HOST}/acme/issues-list", https("acme/issues-list")),
    ("https://Git.Example.COM:8443/a/b.git", https("a/b.git", port=8443)),
    (f"https://{HOST}./a", https("a", host=f"{HOST}.")),
    (f"https://[{V6}]:8443/a/b", https("a/b", host=V6, port=8443)),
]
REFUSED = [
    ("", "empty"),
    (f"https://{HOST}/" + "x" * 2000, "too long"),
    ("-u", "dash"),
    ("--upload-pack=x", "dash"),
    (f"-u@{HOST}:a", "dash"),
    (f"git@-{HOST}:a", "can't be one"),
    (f"https://-{HOST}/a", "can't be one"),
    ("ssh://-oX/a", "can't be one"),
    (f"ssh://-u@{HOST}/a", "user name"),
    (f"ssh://%2Doption@{HOST}/a", "user name"),
    (f"ssh://%2D{HOST}/a", "can't be one"),
    (f"git@{HOST}:-a", "dash"),
    (f"https://{HOST}/-a", "dash"),
    ("ext::sh -c id", "starts a program"),
    ("fd::3", "starts a program"),
    (f"https::https://{HOST}/a", "starts a program"),
    (f"{HOST}::a", "starts a program"),
    (f"git@{HOST}::a", "colon"),
    (f"https://{HOST}/a\nb", "control"),
    (f"https://{HOST}/a%0ab", "control"),
    (f"https://{HOST}/a\x00", "control"),
    (f"ssh://{HOST}/a%00", "control"),
    (f"git@{HOST}:a\x1b[31m", "control"),
    (f"git@{HOST}:\u202efdp", "control"),
    (f"http://{HOST}/a", "Use https"),
    (f"git://{HOST}/a", "https or ssh only"),
    (f"ftp://{HOST}/a", "https or ssh only"),
    ("file:///a", "https or ssh only"),
    (f"HTTPS://{HOST}/a", "small letters"),
    (f"SSH://{HOST}/a", "small letters"),
    (f"https:/{HOST}/a", "://"),
    ("/a", "folder"),
    ("./a:b", "folder"),
    ("~/a", "folder"),
    (f"{HOST}/a", "folder"),
    ("C:\\a", "drive"),
    ("c:/a", "drive"),
    ("https://", "can't be one"),
    ("https:///a", "can't be one"),
    (f"https://{HOST}", "no repository"),
    (f"https://{HOST}/", "no repository"),
    (f"ssh://{HOST}", "no repository"),
    (f"{HOST}:", "no repository"),
    (f"https://{HOST}:0/a", "port"),
    (f"https://{HOST}:99999/a", "port"),
    (f"ssh://{HOST}:22x/a", "can't be one"),
    (f"https://a@b@{HOST}/a", "user name"),
    ("https://github.com\\@intranet/a", "user name"),
    ("https://bücher.example/a", "can't be one"),
    (f"https://{HOST}/a b", "%20"),
    (f"https://{HOST}/a?token=x", "leave out"),
    (f"https://{HOST}/a#b", "leave out"),
    (f"https://{HOST}/a/../b", "another address"),
    # The host that git would dial is not the one that people read.
    (f"intranet:x@{HOST}:a", "password"),
    (f"ssh://git:x@{HOST}/a", "password"),
    (f"ssh://intranet%2F@{HOST}/a", "encoded"),
    (f"ssh://intranet%3A22%2F@{HOST}/a", "encoded"),
    (f"ssh://{HOST}/a@[intranet]/x", "@["),
    (f"ssh://{HOST}/%40[intranet]/x", "@["),
    (f"git@{HOST}:a@[intranet]:x", "@["),
]


def named(table):
    return [pytest.param(*row, id=row[0][:40] or "nothing") for row in table]


@pytest.mark.parametrize(("text", "url"), named(OVER_SSH + OVER_HTTPS))
def test_what_git_clones_is_taken_by_server_link_and_sandbox(settings, text, url):
    settings.MESH_PRIVATE_HOSTS = parse_allowed("")
    given = {"handle": "main-0123456789abcdef", "repo": {"cloneUrl": text}}

    assert parse_clone_url(text) == url
    assert allowed_repository(text).url == text
    assert parse_spec(given, allowed=[]).repo == {"cloneUrl": text}
    assert checked_address(text) == url


@pytest.mark.parametrize(("text", "rule"), named(REFUSED))
def test_what_is_dangerous_is_refused_with_the_rule(text, rule):
    with pytest.raises(Unclonable) as refused:
        parse_clone_url(text)

    assert rule in str(refused.value)
    assert read_clone_url(text) is None
    with pytest.raises(AddressRefused, match="Git may not clone"):
        checked_address(text)
    with pytest.raises(BadSpec):
        parse_spec({"handle": "main-0123456789abcdef", "repo": {"cloneUrl": text}}, allowed=[])


@pytest.fixture(scope="module")
def dialled(tmp_path_factory):
    """Return ``dialled(address)``: the words that git gives to ssh, which is a stand-in."""
    folder = tmp_path_factory.mktemp("ssh")
    program = folder / "ssh"
    program.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > {folder}/words\nexit 1\n")
    program.chmod(0o755)
    env = {"GIT_SSH_COMMAND": str(program), "GIT_SSH_VARIANT": "ssh", "PATH": os.environ["PATH"]}

    def dial(address):
        (folder / "words").write_bytes(b"")
        call = build(["ls-remote", "--", address], cwd=folder, parent=env, protocols=["ssh"])
        subprocess.run(call.argv, cwd=folder, env=call.env, capture_output=True, check=False)
        return [os.fsdecode(word) for word in (folder / "words").read_bytes().split(b"\0")[:-1]]

    return dial


def as_dialled(words):
    """Return user, host, port and path that the words to ssh mean."""
    *options, where, command = words
    user, _, host = where.rpartition("@")
    port = int(options[options.index("-p") + 1]) if "-p" in options else 22
    path = command.removeprefix("git-upload-pack '").removesuffix("'").replace("'\\''", "'")
    return user, host.lower(), port, path


def agrees(text, url, words):
    user, host, port, path = as_dialled(words)
    wanted = url.path
    if "://" in text and not wanted.startswith("~"):
        wanted = f"/{wanted}"
    return (user, host, port, path) == (url.user, url.host, url.port, wanted)


@pytest.mark.programs
@pytest.mark.parametrize(("text", "url"), named(OVER_SSH))
def test_git_dials_what_was_read_over_ssh(dialled, text, url):
    assert agrees(text, url, dialled(text))


PIECES = st.sampled_from(
    [
        *"@@@::://[[]]-%~.+ \\",
        *("%40", "%2F", "%3A", "%5B", "a", "b", "git", "host.example", "evil", "::1", "@[", "22"),
    ]
)


@pytest.mark.programs
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["ssh://", "ssh://git@", "git+ssh://", "git@", ""]),
    st.lists(PIECES, min_size=1, max_size=9).map("".join),
    st.sampled_from(["", "/x", ":x", ":22/x"]),
)
def test_an_address_over_ssh_is_refused_or_git_dials_what_was_read(dialled, start, middle, end):
    text = f"{start}{middle}{end}"
    url = read_clone_url(text)

    assert url is None or agrees(text, url, dialled(text))


@pytest.fixture(scope="module")
def proxy():
    """Return ``proxy(address)``: what git asks an https proxy to connect it to."""
    server = socket.create_server(("127.0.0.1", 0))
    where, asked = server.getsockname(), []

    def serve():
        while not asked or asked[-1]:  # an empty request ends it
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096).split(b"\r\n")[0].decode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    to = f"http.proxy=http://127.0.0.1:{where[1]}"

    def connect(address, folder):
        asked.clear()
        parent = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        args = ["-c", to, "ls-remote", "--", address]
        call = build(args, cwd=folder, parent=parent, protocols=["https"])
        subprocess.run(call.argv, cwd=folder, env=call.env, capture_output=True, check=False)
        return asked[0] if asked else ""

    yield connect
    socket.create_connection(where).close()
    thread.join()
    server.close()


@pytest.mark.programs
@pytest.mark.parametrize(("text", "url"), named(OVER_HTTPS))
def test_git_dials_what_was_read_over_https(proxy, tmp_path, text, url):
    host = f"[{url.host}]" if ":" in url.host else url.host

    connect, place, _ = proxy(text, tmp_path).split()

    # curl leaves out the dot at the end of a name.
    assert (connect, place.lower().replace(".:", ":")) == (
        "CONNECT",
        f"{host.rstrip('.')}:{url.port}",
    )


@given(st.text(max_size=60) | st.from_regex(r"(https|ssh)://.{0,40}", fullmatch=True))
def test_whatever_is_written_no_part_can_be_taken_for_an_option(text):
    url = read_clone_url(text)

    assert url is None or not any(
        part.startswith("-") for part in (text, url.host, url.user, url.path)
    )


@given(st.text(max_size=60))
def test_the_server_changes_no_address_that_git_clones(text):
    try:
        found = read_repository(f"https://{HOST}/a/{text}")
    except BadRepository:
        return
    assert read_clone_url(found.url) is not None
    assert f"https://{HOST}/a/{text}".startswith(found.url)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("intranet", True),
        ("nas.local", True),
        ("git.corp.internal.", True),
        ("github.com", False),
        ("local.example", False),
    ],
)
def test_names_that_mean_something_in_one_network_only(host, answer):
    assert is_local_name(host) is answer
