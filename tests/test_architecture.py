"""The map is true: every place that it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = ROOT / "ARCHITECTURE.md"
# Where a line that is about an app, or about the pages, names places from.
BASES = ("", "mesh", "links", "agents", "sandboxes", "threads", "mesh/static/mesh")
ROUTES = ("/api/",)
# Files that a running Mesh makes; none of the repository.
MADE = {"journal.db"}
_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
_SUFFIXES = (".py", ".js", ".toml", ".json", ".html", ".css", ".md", "/")


def named():
    """Yield each line's places, in the order in which it names them."""
    for number, line in enumerate(MAP.read_text("utf-8").splitlines(), 1):
        for text in re.findall(r"`([^`]+)`", line):
            place = text.replace("<kind>", "*").replace("…", "*")
            if text.startswith(ROUTES) or place in MADE or not _PATH.fullmatch(place):
                continue
            if "/" in place or place.endswith(_SUFFIXES):
                yield pytest.param(place, line, id=f"{number}-{place}")


def is_there(place, line):
    """Say whether ``place`` is in the repository, or beside another place that ``line`` names."""
    beside = {text.rpartition("/")[0] for text in re.findall(r"`([\w./-]+)`", line)}
    bases = [ROOT / base for base in (*BASES, *(folder for folder in beside if folder))]
    return any(any(base.glob(place.rstrip("/"))) for base in bases if base.is_dir())


@pytest.mark.parametrize(("place", "line"), list(named()))
def test_a_place_of_the_map_is_there(place, line):
    assert is_there(place, line)


def places_of(line):
    return [place for place in re.findall(r"`([^`]+)`", line) if "/" in place or "." in place]


def texts_of(line):
    """Return the contents of the files that a row names, and of the folders' modules."""
    for place in places_of(line):
        for base in BASES:
            for path in ROOT.glob(f"{base}/{place}".strip("/").replace("<kind>", "*")):
                files = path.rglob("*.py") if path.is_dir() else [path]
                yield from (file.read_text("utf-8") for file in files)


def names():
    """Return what each row of "To add X, touch Y" says that is to be found in its files."""
    rows = [line for line in MAP.read_text("utf-8").splitlines() if line.startswith("| ")]
    table = rows[rows.index("| To add | Touch |") + 1 :]
    return [
        pytest.param(name, line, id=name)
        for line in table
        for name in re.findall(r"`(_?[A-Za-z]\w*)`", line)
    ]


@pytest.mark.parametrize(("name", "line"), names())
def test_a_name_of_the_table_is_in_a_file_of_its_row(name, line):
    assert any(re.search(rf"\b{name}\b", text) for text in texts_of(line))


def test_the_test_would_see_a_place_that_is_gone():
    assert len(list(named())) > 80
    assert not is_there("threads/gone.py", "| `threads/gone.py` |")


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", MAP.read_text("utf-8")))
def test_a_link_of_the_map_leads_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize(
    "change",
    [
        "an agent that speaks ACP",
        "a kind of question to a person",
        "a chunk that readers see",
        "another heartbeat interval",
        "a column on links",
    ],
)
def test_the_map_leads_to_what_is_most_often_changed(change):
    assert f"| {change} | " in MAP.read_text("utf-8")
