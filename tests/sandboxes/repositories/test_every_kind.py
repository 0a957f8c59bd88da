"""A chat's whole life in every kind of repository that people have, with every git found."""

from __future__ import annotations

import os

import pytest

from tests.sandboxes.repositories.gits import all_gits
from tests.sandboxes.repositories.kinds import KINDS
from tests.sandboxes.repositories.life import Life

pytestmark = pytest.mark.programs

LIVES = [
    pytest.param((git, name), id=f"{git}-{name}")
    for git in all_gits()
    for name, kind in KINDS.items()
    if kind.is_for(git) and not kind.refused
]


@pytest.fixture(scope="module", params=LIVES)
def life(request, tmp_path_factory):
    """The life of a chat in a repository of that kind; all steps are done."""
    git, name = request.param
    folder = tmp_path_factory.mktemp("life")
    (folder / "home").mkdir()
    (folder / "home/.gitconfig").write_text(WHO + KINDS[name].gitconfig)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("PATH", f"{git.folder}{os.pathsep}{os.environ['PATH']}")
        life = Life(name, folder)
        life.live()
        yield life


WHO = "[user]\n\tname = Ada\n\temail = ada@mesh.example\n"


def test_the_chat_gets_a_worktree_of_its_own(life):
    life.check("start")


def test_nothing_is_changed_at_first(life):
    life.check("status")


def test_what_the_agent_changed_is_listed(life):
    life.check("change")


def test_what_is_discarded_can_be_had_back(life):
    life.check("discard")


def test_a_rebase_brings_what_others_did(life):
    life.check("rebase")


def test_the_branch_is_published(life):
    life.check("publish")


def test_the_branch_is_published_again(life):
    life.check("publish_again")


def test_a_sandbox_is_removed_when_nothing_would_be_lost(life):
    life.check("remove")


def test_a_removed_sandbox_comes_back_as_it_was(life):
    life.check("restore")


def test_after_a_week_it_is_gone(life):
    life.check("prune")


def test_what_is_the_person_s_is_untouched(life):
    assert life.changes == {}


def test_no_program_ran_but_those_that_the_person_expects(life):
    assert life.ran <= life.kind.runs
