import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.core.branches import is_branch, new_branch
from tests.examples import up_to


@pytest.mark.parametrize("name", ["main", "deco/quiet-otter", "fix/a.b", "ä", "a@b", "v1.0"])
def test_a_branch(name):
    assert is_branch(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "-x", "/x", "x/", "a//b", "a..b", ".x", "a/.b", "x.", "x.lock", "x.lock/y", "@"),
        *("a b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a@{b", "a\nb", "x" * 201),
    ],
)
def test_no_branch(name):
    assert not is_branch(name)


@settings(max_examples=up_to(60))
@given(st.text(alphabet="ab./-@{~lock \\:", min_size=1, max_size=12))
def test_what_we_take_git_takes(name):
    assert shutil.which("git")
    asked = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True)

    assert not is_branch(name) or asked.returncode == 0


def test_a_made_up_name_is_a_branch_and_seldom_the_same():
    names = {new_branch(random.Random(seed).choice) for seed in range(100)}

    assert len(names) > 80
    assert all(is_branch(name) and name.startswith("deco/") for name in names)
