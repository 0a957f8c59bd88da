"""What of a repository's configuration is let through, and that git reads it as it was."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.git_config import judge, parse, text_of

ORIGIN = "https://mesh.example/a.git"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.filemode", "true"),
        ("core.sparsecheckout", "true"),
        ("core.autocrlf", "input"),
        ("extensions.objectformat", "sha256"),
        ("user.name", "Ada; $(id)\n"),
        ("branch.fix/a.b.remote", "origin"),
        ("branch.fix/a.b.pushremote", "fork"),
        ("branch.fix/a.b.merge", "refs/heads/fix/a.b"),
        ("remote.origin.url", "git@mesh.example:a/b.git"),
        ("remote.origin.url", "/srv/git/a.git"),
        ("remote.pushdefault", "fork"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("filter.lfs.process", "git-lfs filter-process"),
        ("filter.lfs.required", "true"),
        ("lfs.https://mesh.example/a.access", "basic"),
    ],
)
def test_what_is_kept(key, value):
    assert judge([(key, value)]).kept == ((key, value),)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[(f"core.{key}", "x") for key in ("fsmonitor", "hookspath", "sshcommand", "gitproxy")],
        *[(f"core.{key}", "x") for key in ("editor", "pager", "askpass", "worktree")],
        *[(f"core.{key}", "x") for key in ("attributesfile", "alternaterefscommand", "unheard-of")],
        ("core.protectntfs", "false"),
        ("remote.pushdefault", "--upload-pack=x"),
        ("extensions.worktreeconfig", "true"),
        ("alias.status", "!x"),
        ("include.path", "x"),
        ("includeif.gitdir:/.path", "x"),
        ("filter.lfs.clean", "x"),
        ("filter.lfs.process", "git-lfs filter-process; x"),
        ("filter.evil.clean", "x"),
        ("diff.evil.command", "x"),
        ("diff.evil.textconv", "x"),
        ("diff.external", "x"),
        ("merge.evil.driver", "x"),
        ("interactive.difffilter", "x"),
        ("trailer.sign.command", "x"),
        ("credential.helper", "x"),
        ("credential.https://mesh.example.helper", "x"),
        ("gpg.program", "x"),
        ("gpg.ssh.program", "x"),
        ("commit.gpgsign", "true"),
        ("sequence.editor", "x"),
        ("uploadpack.packobjectshook", "x"),
        ("protocol.ext.allow", "always"),
        ("safe.directory", "*"),
        ("http.proxy", "x"),
        ("http.sslverify", "false"),
        ("url.x.insteadof", "https://"),
        ("submodule.a.update", "!x"),
        ("remote.origin.url", "ext::sh -c x"),
        ("remote.origin.url", "--upload-pack=x"),
        ("remote.origin.url", "ssh://-oProxyCommand=x/a"),
        ("remote.origin.pushurl", "fd::17"),
        ("remote.origin.uploadpack", "x"),
        ("remote.origin.receivepack", "x"),
        ("remote.origin.vcs", "x"),
        ("remote.origin.proxy", "x"),
        ("remote.origin.fetch", "-x"),
        ("branch.a.remote", "ext::x"),
        ("branch.a.pushremote", "ext::x"),
        ("branch.a.remote", "-x"),
        ("lfs.customtransfer.x.path", "x"),
        ("lfs.standalonetransferagent", "x"),
        ("lfs.url", "ext::x"),
        ("core", "x"),
        ("core.a.filemode", "true"),
        ("remote.url", ORIGIN),
    ],
)
def test_what_is_left_out(key, value):
    judged = judge([(key, value)])

    assert (judged.kept, judged.left_out) == ((), (key,))


def test_a_clone_of_ours_has_the_one_remote_that_it_was_made_from():
    judged = judge(
        [
            ("remote.origin.url", "ext::x"),
            ("remote.origin.pushurl", "https://evil.example/a"),
            ("remote.evil.url", "https://evil.example/a"),
            ("remote.evil.promisor", "true"),
        ],
        origin=ORIGIN,
    )

    assert judged.kept == (("remote.origin.url", ORIGIN),)
    assert not judged.is_partial


def test_filters_whose_programs_are_missing_are_known_by_name():
    judged = judge([("filter.a.b.clean", "x"), ("filter.c.required", "true")])

    assert judged.filters == ("a.b",)


NAMES = st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), max_size=20)
VALUES = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=40)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_git_reads_what_was_written(given_pairs):
    pairs = [(f"branch.{name}.description", value) for name, value in given_pairs if name]
    pairs.append(("user.name", "Ada"))

    listed = subprocess.run(
        ["git", "config", "--file", "-", "--list", "-z"],
        input=text_of(pairs).encode(),
        capture_output=True,
        check=True,
    )

    assert parse(listed.stdout.decode()) == tuple(pairs)


@given(st.text(st.sampled_from("ab.\n\0 =")))
def test_any_listing_is_read(listing):
    judge(parse(listing), origin=ORIGIN)


def test_the_folder_of_hooks_is_known_but_not_given_to_git():
    judged = judge([("core.hookspath", "first"), ("core.hookspath", ".husky/_")])

    assert (judged.hooks_path, judged.kept) == (".husky/_", ())


def test_the_addresses_of_all_remotes():
    pairs = [("remote.a.url", "/srv/a"), ("remote.b.pushurl", "git@x:b"), ("remote.a.fetch", "a")]

    assert judge(pairs).addresses == ("/srv/a", "git@x:b")
