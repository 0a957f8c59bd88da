"""What is written down beside the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_every_decision_has_a_number_of_its_own():
    headings = {path.name: path.read_text().partition("\n")[0] for path in _decisions()}

    assert [int(name[:4]) for name in headings] == list(range(1, len(headings) + 1))
    for name, heading in headings.items():
        assert heading.startswith(f"# {int(name[:4])}. ")


def test_every_door_has_a_test_that_there_is():
    rows = [line.split("|") for line in (ROOT / "SECURITY.md").read_text().splitlines()]
    named = [re.findall(r"`([\w/]+(?:\.py|/))`", row[5]) for row in rows if len(row) == 7]

    assert sum(map(len, named)) > 40
    assert [path for each in named for path in each if not (ROOT / "tests" / path).exists()] == []


def test_each_line_about_previews_has_a_test_that_there_is():
    rows = [
        line.split("|")
        for line in (ROOT / "docs" / "previews.md").read_text().splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| What |"))
    ]
    named = [re.fullmatch(r" `([\w/]+\.py)::(\w+)` ", row[3]) for row in rows]

    assert len(named) > 20
    assert [row for row, found in zip(rows, named, strict=True) if not found] == []
    assert [found[0] for found in named if not _has_test(found[1], found[2])] == []


def _has_test(path, name):
    file = ROOT / "tests" / path
    return file.exists() and re.search(rf"def {name}\(", file.read_text()) is not None


def _decisions():
    return sorted((ROOT / "docs" / "adr").glob("*.md"))
