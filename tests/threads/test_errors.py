"""The errors of threads: what a client can rely on."""

from __future__ import annotations

import re

import pytest

from mesh.lib.errors import AppError
from threads import errors

ALL = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, AppError) and each is not AppError
]


@pytest.mark.parametrize("error", ALL)
def test_an_error_has_a_stable_code_a_sentence_and_a_hint(error):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert error.text.endswith(".")
    assert error.hint.endswith(".")
    assert 400 <= error.status < 500


def test_two_errors_share_a_code_only_if_one_is_a_kind_of_the_other():
    roots = [each for each in ALL if each.__base__ is AppError]
    codes = [each.code for each in roots]

    assert len(codes) == len(set(codes))
    assert {each.code for each in ALL} == set(codes)
