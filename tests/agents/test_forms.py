"""The agents' forms: what a valid one gives, and the field that a refusal belongs to."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from agents.core.source import Source
from agents.forms import AgentForm, McpServerForm

AGENT = {"title": "Shop", "icon": "globe", "instructions": "Be kind.", "source": "scratch"}
SERVER = {"name": "linear", "url": "https://mcp.linear.app/mcp", "headers": "X-Key: hunter2"}


def form(**changes):
    return AgentForm(AGENT | changes, links=[])


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        pytest.param({"source": "scratch", "folder": "/x"}, Source("scratch"), id="scratch"),
        pytest.param({"source": "none"}, Source("none"), id="no files"),
        pytest.param(
            {"source": "repository", "repository": "acme/app", "folder": "/x"},
            Source("repository", url="https://github.com/acme/app"),
            id="a repository and nothing of a folder",
        ),
        pytest.param(
            {"source": "folder", "folder": "~/code/app/", "repository": "acme/app"},
            Source("folder", folder="~/code/app"),
            id="a folder and nothing of a repository",
        ),
    ],
)
def test_a_valid_form_gives_the_fields_of_its_source_only(fields, source):
    filled = form(**fields)

    assert filled.is_valid()
    assert filled.given().source == source


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"title": ""}, "title", id="no name"),
        pytest.param({"icon": "unknown"}, "icon", id="no such icon"),
        pytest.param({"source": "elsewhere"}, "source", id="no such source"),
        pytest.param({"source": "repository", "repository": "x"}, "repository", id="no repository"),
        pytest.param({"source": "folder", "folder": "here"}, "folder", id="no whole path"),
        pytest.param({"link_id": "unknown"}, "link_id", id="no such machine"),
        pytest.param({"default_choice": "codex"}, "default_choice", id="no tier"),
    ],
)
def test_a_refusal_is_shown_at_its_field(fields, field):
    assert list(form(**fields).errors) == [field]


def test_a_machine_of_another_person_stays_chosen():
    shown = AgentForm(initial={"link_id": "42"}, links=[])

    assert ("42", "another person's machine") in shown.fields["link_id"].choices


def test_a_valid_server_form_gives_the_server():
    filled = McpServerForm(SERVER)

    assert filled.is_valid()
    assert filled.server().headers == {"X-Key": "hunter2"}


def test_a_refused_server_form_is_shown_again_without_its_headers():
    data = QueryDict(mutable=True)
    data.update(SERVER | {"name": "Not a name"})
    refused = McpServerForm(data)

    assert not refused.is_valid()
    assert "hunter2" not in str(refused.without_secrets())
    assert "Not a name" in str(refused.without_secrets())
