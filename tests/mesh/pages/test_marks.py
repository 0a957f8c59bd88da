"""No template shows a name that somebody else chose without marking what nobody sees in it."""

import re
from pathlib import Path

import pytest
from django.template import Context, Template

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"
# What a person, a machine, an agent or a repository names.
NAMED = re.compile(
    r"\{\{ (?:(?:machine|desk|agent|each|row|thread|chat|token|organization|server|section"
    r"|key|source|pairing|user|request\.user)\.(?:name|title|branch|label|url|folder|sentence"
    r"|reason|said|username|baseUrl|addedBy)|(?:pairing|suggested|message|error)(?![.\w])|error\.hint)\b"
    r"(?:\|default:(?:\"[^\"]*\"|'[^']*'))?(?P<filters>[^}]*) \}\}"
)
# What no one reads: a script does, and marks what it shows; or a server.
_UNREAD = re.compile(r"(?:(?:value|data-[a-z-]+)=\"[^\"]*|{% block name %})$")
_MARKED = re.compile(r"\|(?:exact|readable)(?:_text)?\Z|\|urlencode:''\Z|\|first\|upper\Z")


def unmarked(text):
    """Return what a template shows as it was given."""
    for found in NAMED.finditer(text):
        is_read = not _UNREAD.search(text[: found.start()].rpartition("<")[2])
        if is_read and not _MARKED.search(found["filters"]):
            yield found[0]


@pytest.mark.parametrize(
    "path",
    [pytest.param(each, id=each.name) for each in sorted(TEMPLATES.rglob("*.html"))],
)
def test_names_are_marked(path):
    assert list(unmarked(path.read_text(encoding="utf-8"))) == []


def test_the_search_finds_what_is_not_marked():
    assert list(unmarked('<b>{{ machine.name }}</b> <i data-name="{{ machine.name }}">')) == [
        "{{ machine.name }}"
    ]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param("exact", "&lt;p&gt;", id="markup"),
        pytest.param("exact_text", "&lt;p&gt;", id="markup in an attribute"),
    ],
)
def test_markup_stays_text(shown, expected):
    template = Template("{% load page %}{{ name|" + shown + " }}")

    assert template.render(Context({"name": "<p>"})) == expected


@pytest.mark.parametrize(
    ("name", "shown", "attribute"),
    [
        pytest.param("laptop", "laptop", "laptop", id="plain"),
        pytest.param("", "", "", id="empty"),
        pytest.param(None, "", "", id="none"),
        pytest.param(
            "a\u202eb",
            '<bdi dir="ltr">a<span class="odd" title="changes the direction of the text that'
            ' follows">⟨U+202E⟩</span>b</bdi>',
            "a⟨U+202E⟩b",
            id="turned around",
        ),
        pytest.param(
            "שלום", '<bdi dir="ltr">שלום</bdi>', "\u2066שלום\u2069", id="from right to left"
        ),
    ],
)
def test_a_name_is_marked_and_set_apart(name, shown, attribute):
    template = Template("{% load page %}{{ name|exact }}{{ name|exact_text }}")

    assert template.render(Context({"name": name})) == shown + attribute
