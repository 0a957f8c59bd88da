"""The pages' scripts, as ``collectstatic`` needs them."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "mesh/static/mesh"
IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["']\./([\w.-]+\.js)["']""")


def test_scripts_import_one_another_in_no_circle():
    """Their names carry the hash of what they hold, also of the names that they import."""
    imports = {each.name: set(IMPORT.findall(each.read_text())) for each in SCRIPTS.glob("*.js")}

    order = list(TopologicalSorter(imports).static_order())

    assert imports["page.js"] > {"chat.js", "panels.js"}  # also what is loaded later
    assert order.index("dom.js") < order.index("page.js")
