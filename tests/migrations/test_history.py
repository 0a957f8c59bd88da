"""Each migration that repeats one of the reference's says so, and ADR 14 lists it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADR = ROOT / "docs/adr/0014-the-references-migrations-as-ours.md"
CALLED = [
    "sandboxes/core/dump.py",
    "sandboxes/core/reference.py",
    "sandboxes/moving.py",
    "threads/services/importing.py",
]


def listed():
    """Yield (number of the reference's, file of ours) for each row of ADR 14's table."""
    for row in re.findall(r"^\| (08\d) .*\| (.*) \|$", ADR.read_text(encoding="utf-8"), re.M):
        number, ours = row
        app = ""
        for found in re.finditer(r"`(?:(\w+)/)?(\d{4})`", ours):
            app = found[1] or app
            if found[2] != "0001":  # where the pins stand is no step of its own
                (path,) = (ROOT / app / "migrations").glob(f"{found[2]}_*.py")
                yield number, str(path.relative_to(ROOT))


def first_line(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n\n")[0].replace("\n", " ")


def test_the_table_is_read():
    assert len(list(listed())) == 8


@pytest.mark.parametrize(("number", "path"), list(listed()))
def test_a_migration_that_stands_for_one_of_the_reference_s_says_which(number, path):
    assert f"migration {number}" in first_line(path)
    assert "ADR 14" in first_line(path)


@pytest.mark.parametrize("path", CALLED)
def test_what_exists_for_the_reference_s_sake_says_so(path):
    assert "ADR 14" in first_line(path)
