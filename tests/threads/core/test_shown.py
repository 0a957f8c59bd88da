"""Whatever is folded is shown: the kinds of parts and chunks of the server match the page's."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "mesh/static/mesh"
CASES = json.loads((ROOT / "tests/threads/fold_cases.json").read_text("utf-8"))
# An agent may send these, too; the server only passes them on.


def script(name):
    return (SCRIPTS / name).read_text("utf-8")


def named(text, name):
    """Return the texts of an array or object that a module declares, or of a function's body."""
    body = re.search(rf"^(?:const|export function) {name}\b.*?(?:;|\}})$", text, re.M | re.S)
    return set(re.findall(r'"([a-z-]+)"', body[0]))


def shown():
    """Return the kinds of parts that parts.js has an element for."""
    parts = script("parts.js")
    makes = re.search(r"^export function makePart.*?^}", parts, re.M | re.S)[0]
    return set(re.findall(r'part\.type === "([^"]+)"', makes)) | named(parts, "BESIDE")


def heard():
    """Return the kinds of chunks that change the chat itself, not a part of an answer."""
    return set(re.findall(r'chunk\.type === "(data-[^"]+)"', script("chat.js")))


def folded():
    parts = (part for case in CASES for part in case["message"]["parts"])
    kinds = {part["type"] for part in parts}
    return {kind for kind in kinds if not kind.startswith("tool-")} - {"dynamic-tool"}


def made(*folders):
    """Return the kinds of data chunks that the code of ``folders`` makes."""
    found = set()
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        text = path.read_text("utf-8")
        found |= set(re.findall(r'"(data-[a-z-]+)"', text))
        found |= {f"data-{name}" for name in re.findall(r'\.data\(\s*"([a-z-]+)"', text)}
    return found


def test_every_kind_of_part_that_is_folded_has_an_element_or_is_listed_as_not_shown():
    assert folded() <= shown() | named(script("parts.js"), "NOT_SHOWN")


def test_every_data_chunk_that_is_made_reaches_the_page():
    kinds = made("agents", "sandboxes", "threads")

    assert {"data-todos", "data-queue", "data-approval"} <= kinds
    assert kinds <= shown() | heard() | named(script("parts.js"), "NOT_SHOWN")


def test_nothing_is_both_shown_and_listed_as_not_shown():
    assert not shown() & named(script("parts.js"), "NOT_SHOWN")
