"""What every error of the link program tells, and those whose hint names something."""

import inspect
import re
from collections import Counter

import pytest

from links.daemon import errors
from links.daemon.errors import MachineCopied, PairAgain, TooOld

KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and kind.__module__ == errors.__name__ and "code" in vars(kind)
]


def made(kind):
    given = {PairAgain: ("https://mesh.example", "deco_link x"), MachineCopied: ("deco_link x",)}
    return kind(*given.get(kind, ()))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_has_a_code_a_sentence_and_a_hint(kind):
    error = made(kind)

    assert re.fullmatch(r"[a-z_]+", error.code)
    assert re.fullmatch(r"[A-Z\[].*\.", str(error))
    assert error.hint[:1].isupper()


def test_no_two_errors_share_a_code():
    assert [code for code, count in Counter(kind.code for kind in KINDS).items() if count > 1] == []


def test_a_signed_out_machine_is_told_the_server_and_the_command_that_links_it_again():
    error = PairAgain("https://mesh.example", "deco_link https://mesh.example")

    assert str(error) == "This machine was signed out of https://mesh.example."
    assert error.hint == "Link it again: deco_link https://mesh.example"


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        pytest.param("uv this", "Start the matching version: uv this", id="the server offers one"),
        pytest.param("", TooOld.hint, id="it offers none"),
    ],
)
def test_a_program_that_is_too_old_is_told_the_matching_version(command, hint):
    assert TooOld(command=command).hint == hint
