"""Which templates depend on which app: the layers hold for them as for modules."""

import re
from pathlib import Path

import pytest
from django.template.engine import Engine

ROOT = Path(__file__).parents[3] / "templates"
# Below which app a template stands, by how its path begins; the first that fits.
APPS = (
    ("threads/", "threads"),
    ("_partials/thread", "threads"),
    ("agents/", "agents"),
    ("settings/", "agents"),
    ("_partials/agent", "agents"),
    ("links/", "links"),
    ("_partials/machine_list", "agents"),  # a machine with the agents that were found on it
    ("_partials/machine_choice", "agents"),
    ("_partials/connect_state", "agents"),
    ("_partials/desktop_tile", "agents"),
    ("_partials/", "links"),
    ("", "mesh"),
)
LAYERS = ("mesh", "links", "agents", "threads")  # each may use what is left of it
OURS = {"page": "mesh", "machines": "links", "agents": "agents", "threads": "threads"}


def loaded(path):
    words = re.findall(r"{% load ([^%]+) %}", path.read_text())
    return {library for each in words for library in each.split()} & OURS.keys()


def app_of(path):
    name = path.relative_to(ROOT).as_posix()
    return next(app for beginning, app in APPS if name.startswith(beginning))


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_loads_a_library_of_an_app_above_its_own(path):
    allowed = LAYERS[: LAYERS.index(app_of(path)) + 1]

    assert {OURS[library] for library in loaded(path)} <= set(allowed)


@pytest.mark.parametrize(("library", "app"), OURS.items())
def test_each_library_lies_in_its_app(library, app):
    assert Engine.get_default().libraries[library].startswith(f"{app}.")
