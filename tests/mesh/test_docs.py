"""What is written down beside the code."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_every_decision_has_a_number_of_its_own():
    headings = {path.name: path.read_text().partition("\n")[0] for path in _decisions()}

    assert [int(name[:4]) for name in headings] == list(range(1, len(headings) + 1))
    for name, heading in headings.items():
        assert heading.startswith(f"# {int(name[:4])}. ")


def _decisions():
    return sorted((ROOT / "docs" / "adr").glob("*.md"))
