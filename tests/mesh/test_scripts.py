"""The pages' scripts, as ``collectstatic`` needs them."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "mesh/static/mesh"
IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["']\./([\w.-]+\.js)["']""")


def test_scripts_import_one_another_in_no_circle():
    """Their names carry the hash of what they hold, also of the names that they import."""
    imports = {each.name: set(IMPORT.findall(each.read_text())) for each in SCRIPTS.glob("*.js")}

    order = list(TopologicalSorter(imports).static_order())

    assert imports["page.js"] > {"chat.js", "panels.js"}  # also what is loaded later
    assert order.index("dom.js") < order.index("page.js")


# How a listener could learn of a key without asking ``pressed`` in dom.js, which knows about
# input methods and touch screens.
OWN_WAYS = re.compile(
    r"\b(?:event|e)\.key\b|\(\{[^()]*\bkey\b[^()]*\}\)\s*=>|isComposing|keyCode|keypress|keyup"
)


def test_every_script_learns_of_keys_in_the_one_way():
    """An Enter that ends a composition must act nowhere."""
    found = []
    for script in SCRIPTS.glob("*.js"):
        text = script.read_text()
        if "keydown" not in text or script.name == "dom.js":
            continue
        assert re.search(r"import \{[^}]*\bpressed\b[^}]*\} from \"./dom.js\"", text), script.name
        found += [f"{script.name}: {line.strip()}" for line in text.splitlines() if is_own(line)]
    assert found == []


def is_own(line):
    return "pressed(" not in line and bool(OWN_WAYS.search(line))


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ('if (event.key === "Enter") save();', True),
        ('box.onkeydown = ({ key }) => key === "Enter" && save();', True),
        ("if (event.isComposing) return;", True),
        ('if (pressed(event) === "Enter") save();', False),
    ],
)
def test_the_test_above_finds_what_it_should(line, own):
    assert is_own(line) is own
