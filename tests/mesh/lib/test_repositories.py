"""Which addresses git may be given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.repositories import CloneUrl, is_local_name, read_clone_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://github.com/acme/app", CloneUrl("https", "github.com", 443)),
        ("https://Git.Example:8443/a/b.git", CloneUrl("https", "git.example", 8443)),
        ("https://[2606:4700::1111]/a/b", CloneUrl("https", "2606:4700::1111", 443)),
        ("ssh://git@git.example:2222/a/b", CloneUrl("ssh", "git.example", 2222)),
        ("ssh://git.example/~ada/b", CloneUrl("ssh", "git.example", 22)),
        ("git@git.example:a/b.git", CloneUrl("ssh", "git.example", 22)),
    ],
)
def test_what_may_be_cloned(text, url):
    assert read_clone_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        *("", "https://", "https://host", "https:///a", "host/a", "https:/host/a"),
        *("http://host/a", "HTTP://host/a", "git://host/a", "ftp://host/a", "file:///a"),
        *("ext::sh", "fd::3", "https::https://host/a", "/a", "./a", "C:\\a"),
        *("-u", "--upload-pack=x", "https://-host/a", "ssh://-oX/a", "ssh://-u@host/a"),
        *("ssh://git@-host/a", "-u@host:a", "git@-host:a", "git@host:-a", "https://host/-a"),
        *("https://host/a b", "https://host/a\nb", "https://host/a\x00", "git@host::a"),
        *("https://host:0/a", "https://host:99999/a", "https://a@b@host/a", "x" * 3000),
    ],
)
def test_what_git_is_never_given(text):
    assert read_clone_url(text) is None


@given(st.text(max_size=60) | st.from_regex(r"(https|ssh)://.{0,40}", fullmatch=True))
def test_no_part_can_be_taken_for_an_option(text):
    parts = read_clone_url(text)

    assert parts is None or not (text.startswith("-") or parts.host.startswith("-"))


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
