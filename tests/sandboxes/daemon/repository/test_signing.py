"""Commits are signed as the person's global configuration says, and never wait for a prompt."""

from __future__ import annotations

import subprocess

import pytest

from mesh.lib.errors import AppError
from sandboxes.daemon.repository import signing
from tests.sandboxes.daemon.projects import git
from tests.sandboxes.daemon.repository.publishing import BRANCH

pytestmark = pytest.mark.programs


def with_ssh_key(home, passphrase=""):
    key = home / "key"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", key]
    subprocess.run(argv, check=True)
    (home / "allowed").write_text(f"ada@mesh.example {key.with_suffix('.pub').read_text()}")
    for name, value in (
        ("commit.gpgSign", "true"),
        ("gpg.format", "ssh"),
        ("user.signingKey", str(key)),
        ("gpg.ssh.allowedSignersFile", str(home / "allowed")),
    ):
        git(home, "config", "--global", name, value)


def with_program(home, *lines):
    """Sign with a program of the person's own."""
    (home / "sign").write_text("\n".join(["#!/bin/sh", *lines, ""]))
    (home / "sign").chmod(0o755)
    git(home, "config", "--global", "commit.gpgSign", "true")
    git(home, "config", "--global", "gpg.program", "~/sign")


def refused(place):
    place.write("new.txt", "work\n")
    before = place.state()
    with pytest.raises(AppError) as caught:
        place.publish()
    assert caught.value.code == "signing_failed"
    assert place.state() == before
    return caught.value


def test_a_key_that_needs_no_prompt_signs(place, home):
    with_ssh_key(home)
    place.write("new.txt", "work\n")

    done = place.publish()

    assert done["signed"] is True
    assert git(place.repo, "log", "-1", "--format=%G?") == "G"


def test_a_key_that_needs_a_prompt_is_said_and_a_person_may_go_without(place, home, server):
    with_ssh_key(home, passphrase="secret")

    refused(place)
    done = place.publish(is_unsigned=True)

    assert done["signed"] is False
    assert git(place.repo, "log", "-1", "--format=%G?") == "N"


def test_a_program_that_waits_is_ended(place, home, monkeypatch):
    monkeypatch.setattr(signing, "WITHIN", 1)
    with_program(home, "exec sleep 300")

    refused(place)


def test_gpg_is_told_not_to_ask(place, home):
    with_program(home, f'echo "$@" > {home}/args', "echo 'no secret key' >&2", "exit 2")
    (home / "sign").rename(home / "gpg2")
    git(home, "config", "--global", "gpg.program", str(home / "gpg2"))

    refused(place)

    assert "--batch --no-tty --pinentry-mode error --status-fd=2" in (home / "args").read_text()


def test_what_the_repository_says_about_signing_does_not_count(place, clone, home):
    program = home / "evil"
    program.write_text(f"#!/bin/sh\ntouch {home}/ran\n")
    program.chmod(0o755)
    git(clone, "config", "commit.gpgSign", "true")
    git(clone, "config", "gpg.program", str(program))
    place.write("new.txt", "work\n")

    assert place.publish()["signed"] is False
    assert not (home / "ran").exists()


def test_a_repository_can_t_turn_the_person_s_signing_off(place, clone, home):
    with_ssh_key(home)
    git(clone, "config", "commit.gpgSign", "false")
    place.write("new.txt", "work\n")

    assert place.publish()["signed"] is True


def test_a_push_is_signed_by_the_same_rule(place, home, server, monkeypatch):
    monkeypatch.setattr(signing, "WITHIN", 1)
    with_program(home, "exec sleep 300")
    git(home, "config", "--global", "push.gpgSign", "true")
    git(server, "config", "receive.certNonceSeed", "seed")
    place.write("new.txt", "work\n")

    with pytest.raises(AppError):
        place.publish(is_unsigned=True)

    assert git(server, "branch", "--list", BRANCH) == ""
