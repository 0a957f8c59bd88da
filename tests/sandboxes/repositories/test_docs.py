"""docs/git.md: its table is that of the tests, and each of its claims names one that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sandboxes.repositories import table

HERE = Path(__file__).parent
TEXT = (HERE.parents[2] / "docs/git.md").read_text()
CLAIMS = [line for line in TEXT.splitlines() if line.startswith("- ")]


def test_the_table_is_that_of_the_tests():
    shown = [line for line in TEXT.splitlines() if line.startswith("|")]

    assert shown == table.lines()


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_names_tests_that_are_there(claim):
    found = re.fullmatch(r"- .* <!-- (\S+::\w+(?: \S+::\w+)*) -->", claim)

    assert found is not None
    for named in found[1].split():
        file, _, test = named.partition("::")
        assert re.search(rf"^(async )?def {test}\(", (HERE / file).read_text(), re.MULTILINE)
