"""What ``.gitmodules`` says, and what is refused in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.submodules import Submodule, read_gitmodules, resolve_url


def listing(**values):
    values = {"name": "lib", "path": "lib", "url": "../lib.git"} | values
    name = values.pop("name")
    return "".join(f"submodule.{name}.{key}\n{value}\0" for key, value in values.items())


def test_a_submodule_is_read():
    text = listing(name="a.b", path="third party/b", shallow="true")

    assert read_gitmodules(text) == (Submodule("a.b", "third party/b", "../lib.git", True),)


def test_a_name_of_several_parts_and_several_submodules():
    text = listing(name="libs/one", path="one") + listing(name="two", path="two")

    assert [found.name for found in read_gitmodules(text)] == ["libs/one", "two"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"name": "../../hooks"}, id="a name that leads out"),
        pytest.param({"name": "a\\..\\b"}, id="a name that leads out on Windows"),
        pytest.param({"path": "../lib"}, id="a path that leads out"),
        pytest.param({"path": "/etc"}, id="an absolute path"),
        pytest.param({"path": "a/./b"}, id="a path with dots"),
        pytest.param({"path": "a//b"}, id="a path with an empty part"),
        pytest.param({"path": ".GIT/modules"}, id="git's own folder"),
        pytest.param({"path": "-x"}, id="a path like an option"),
        pytest.param({"path": ""}, id="no path"),
        pytest.param({"url": ""}, id="no address"),
        pytest.param({"url": "--upload-pack=x"}, id="an address like an option"),
        pytest.param({"url": "https://mesh.example/a\rb"}, id="an address of two lines"),
    ],
)
def test_what_is_left_out(values):
    assert read_gitmodules(listing(**values)) == ()


def test_one_that_is_not_to_be_filled():
    assert [found.is_wanted for found in read_gitmodules(listing(update="none"))] == [False]


@given(st.text())
def test_any_listing_is_read(text):
    for found in read_gitmodules(text):
        assert ".." not in found.path.split("/")


@pytest.mark.parametrize(
    ("base", "url", "resolved"),
    [
        ("https://host.example/a/app.git", "../lib.git", "https://host.example/a/lib.git"),
        ("https://host.example/a/app.git/", "../../b/lib", "https://host.example/b/lib"),
        ("ssh://git@host.example/a/app", "./lib", "ssh://git@host.example/a/app/lib"),
        ("git@host.example:a/app.git", "../lib.git", "git@host.example:a/lib.git"),
        ("git@host.example:app.git", "../lib.git", "git@host.example:lib.git"),
        ("/srv/git/app.git", "../lib.git", "/srv/git/lib.git"),
        ("https://host.example/a", "https://other.example/x", "https://other.example/x"),
        ("https://host.example/app", "../../../lib", None),
        ("https://host.example/app", "../../lib", None),
        ("git@host.example:app", "../../lib", None),
        ("/app", "../../lib", None),
        ("", "../lib", None),
    ],
)
def test_a_relative_address_is_resolved_as_git_does(base, url, resolved):
    assert resolve_url(base, url) == resolved
