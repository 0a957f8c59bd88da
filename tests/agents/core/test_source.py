"""Where an agent's files come from; chat-ui.md §1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.core.source import (
    BadFolder,
    BadRepository,
    Source,
    read_folder,
    read_repository,
    source_of,
)

APP = "https://github.com/acme/app"


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        pytest.param({"githubRepo": {"url": APP}}, "repository", id="a repository"),
        pytest.param({"githubRepo": {"url": ""}}, "scratch", id="empty"),
        pytest.param({"githubRepo": {"url": None}}, "scratch", id="null"),
        pytest.param({"githubRepo": {"url": 7}}, "scratch", id="no text"),
        pytest.param({"githubRepo": APP}, "scratch", id="no object"),
        pytest.param({"githubRepo": None}, "scratch", id="no repository"),
        pytest.param({"folder": "/code"}, "folder", id="a folder"),
        pytest.param({}, "scratch", id="nothing"),
    ],
)
def test_a_repository_has_an_address_that_is_a_text(metadata, kind):
    assert source_of(metadata).kind == kind


@pytest.mark.parametrize(
    ("metadata", "source"),
    [
        ({"githubRepo": {"url": APP}, "folder": "/code"}, Source("repository", url=APP)),
        ({"folder": "/code"}, Source("folder", folder="/code")),
        ({"folder": "/code", "folderLink": "l"}, Source("folder", folder="/code", link_id="l")),
        ({"folder": ["/code"]}, Source("scratch")),
        ({"files": "none"}, Source("none")),
        ({"files": "none", "folder": "/code"}, Source("folder", folder="/code")),
        ({}, Source("scratch")),
    ],
)
def test_where_the_files_come_from(metadata, source):
    assert source_of(metadata) == source


@pytest.mark.parametrize(
    ("kind", "has_files", "has_branches"),
    [
        ("repository", True, True),
        ("folder", True, True),
        ("scratch", True, False),
        ("none", False, False),
    ],
)
def test_what_there_is_to_work_on(kind, has_files, has_branches):
    source = Source(kind)

    assert (source.has_files, source.has_branches) == (has_files, has_branches)


@pytest.mark.parametrize(
    ("text", "url", "owner", "name"),
    [
        ("acme/app", APP, "acme", "app"),
        (f"  {APP}.git\n", f"{APP}.git", "acme", "app"),
        (f"{APP}/", f"{APP}/", "acme", "app"),
        (f"{APP}/tree/main/src", APP, "acme", "app"),
        (f"{APP}/pull/12?diff=split", APP, "acme", "app"),
        (f"{APP}/issues", APP, "acme", "app"),
        (f"{APP}?tab=readme", APP, "acme", "app"),
        ("https://GitHub.com/acme/app#readme", "https://GitHub.com/acme/app", "acme", "app"),
        ("git@github.com:acme/app.git", "git@github.com:acme/app.git", "acme", "app"),
        ("git@git.mesh.example:/srv/app", "git@git.mesh.example:/srv/app", "srv", "app"),
        ("https://mesh.example/app.git", "https://mesh.example/app.git", "", "app"),
        ("https://mesh.example/a%20b/c", "https://mesh.example/a%20b/c", "a b", "c"),
        ("https://git.example/a/b/-/tree/main", "https://git.example/a/b", "a", "b"),
        ("https://git.example/a/b/src/branch/x", "https://git.example/a/b", "a", "b"),
        ("https://git.example/a/tree/b", "https://git.example/a/tree/b", "a/tree", "b"),
        ("ssh://git@git.mesh.example:2222/a/b", "ssh://git@git.mesh.example:2222/a/b", "a", "b"),
        ("https://gitlab.com/a/b/c", "https://gitlab.com/a/b/c", "a/b", "c"),
    ],
)
def test_what_a_person_means(text, url, owner, name):
    found = read_repository(text)

    assert (found.url, found.owner, found.name) == (url, owner, name)
    assert read_repository(found.url) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "app", "https://github.com/acme", "https:///a/b", "ftp://host/a/b"),
        *("file:///etc/passwd", "ext::sh -c id", "--upload-pack=id", "-a/b", "acme/--app"),
        *("https://github.com/../app", "https://github.com/a/..", "https://host:x/a/b"),
        *("http://github.com/acme/app", "git@-host:a/b", "ssh://-oX=y@host/a/b", "https://-h/a/b"),
        *("https://host/a b/c", "https://host/a/b\nc", "x" * 600 + "/y"),
        *(f"{APP}?access_token=x", f"{APP}#private_key=x"),
    ],
)
def test_what_git_must_never_be_given(text):
    with pytest.raises(BadRepository):
        read_repository(text)


@pytest.mark.parametrize("who", ["ada:hunter2", "ghp_hunter2", "x-access-token:hunter2"])
def test_a_secret_in_the_address_is_refused_and_not_repeated(who):
    with pytest.raises(BadRepository) as refused:
        read_repository(f"https://{who}@github.com/acme/app")

    assert "token" in str(refused.value)
    assert "hunter2" not in str(refused.value.body())


@given(st.text(max_size=80) | st.from_regex(r"(https?|ssh)://.{0,30}", fullmatch=True))
def test_whatever_is_written_is_refused_or_safe(text):
    try:
        found = read_repository(text)
    except BadRepository:
        return
    assert not found.url.startswith("-")
    assert found.url.isprintable()


@pytest.mark.parametrize("text", ["/home/ada/code", "~/code/", "C:\\code", "/"])
def test_a_folder_is_a_whole_path(text):
    assert read_folder(f" {text} ") in (text, text.rstrip("/"))


@pytest.mark.parametrize(
    "text", ["", "code", "~", "/a/../b", "~ada/code", "/a\nb", "/" + "a" * 600]
)
def test_a_folder_that_is_none(text):
    with pytest.raises(BadFolder):
        read_folder(text)
