"""The settings page of AI providers in a real browser, against the real server."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from playwright.sync_api import expect

from agents.keys import selectors
from agents.models import ProviderKey
from mesh.lib.addresses import parse_allowed
from tests.agents.keys.conftest import SECRET, ScriptedProvider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def provider(settings):
    settings.MESH_PRIVATE_HOSTS = parse_allowed("127.0.0.1")
    scripted = ScriptedProvider()
    scripted.body = {"data": [{"id": "claude-haiku-5-5"}, {"id": "claude-next"}]}
    yield scripted
    scripted.close()


@pytest.fixture
def visit(live_server, page):
    """Return ``visit(user)``: the settings page as that person sees it."""

    def go(user):
        client = Client()
        client.force_login(user)
        cookie = client.cookies["mesh_session"].value
        page.context.add_cookies(
            [{"name": "mesh_session", "value": cookie, "url": live_server.url}]
        )
        page.goto(f"{live_server.url}/home/settings/ai-providers")
        return page

    return go


def add(page, provider, secret=SECRET):
    page.get_by_role("button", name="Anthropic Claude models").click()
    page.get_by_label("Base URL").fill(provider.url)
    page.get_by_label("API key", exact=False).first.fill(secret)
    page.get_by_role("button", name="Save key").click()


def test_the_first_key_is_added_tested_and_fills_the_default_models(visit, ada, org, provider):
    page = visit(ada)
    add(page, provider)

    expect(page.get_by_text("Works · 2 models")).to_be_visible()
    expect(page.get_by_label("Fast")).to_have_value(
        f"{ProviderKey.objects.get().pk} claude-haiku-5-5"
    )
    assert SECRET not in page.content()
    assert SECRET not in json.dumps(
        page.evaluate("[...document.querySelectorAll('input')].map(e => e.value)")
    )


def test_a_refusal_says_why_and_the_dialog_stays(visit, ada, provider):
    page = visit(ada)
    add(page, provider, "two words")

    expect(page.get_by_role("alert")).to_contain_text("no spaces")
    expect(page.get_by_role("heading", name="Connect Anthropic")).to_be_visible()
    assert not ProviderKey.objects.exists()


def test_a_key_that_the_provider_refuses_says_so_in_its_row(visit, ada, provider):
    provider.status, provider.body = 401, {"error": {"message": "invalid x-api-key"}}
    page = visit(ada)
    add(page, provider)

    expect(page.get_by_text("Refused: invalid x-api-key")).to_be_visible()


def test_a_key_is_renamed_and_deleted(visit, ada, org, provider):
    page = visit(ada)
    add(page, provider)
    page.get_by_role("button", name="Rename Personal key").click()
    page.get_by_label("Label").last.fill("Team")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Delete Team").click()
    expect(page.get_by_role("heading", name="Delete “Team”?")).to_be_visible()
    page.get_by_role("button", name="Delete key").click()

    expect(page.get_by_role("heading", name="Add the first key")).to_be_visible()
    assert not selectors.list_models(org)[0]


def test_a_default_model_saves_itself(visit, ada, org, provider):
    page = visit(ada)
    add(page, provider)
    expect(page.get_by_text("Works · 2 models")).to_be_visible()
    page.get_by_label("Thinking").select_option("claude-next")

    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert selectors.list_defaults(org)["thinking"].model_id == "claude-next"


def test_a_member_sees_and_changes_nothing(visit, bob, org):
    ProviderKey.objects.create(organization=org, provider="openai", label="Team")
    page = visit(bob)

    expect(page.get_by_text("Only owners and admins")).to_be_visible()
    expect(page.get_by_role("button", name="Add a key")).to_have_count(0)
    expect(page.get_by_label("Fast")).to_be_disabled()


REDUCED = """async () => {
  const { CLOSED, reduce } = await import("/static/mesh/provider_dialog.js");
  const run = (...types) =>
    types.reduce((state, type) => reduce(state, { type, provider: {}, key: {} }), CLOSED).step;
  return {
    opens: run("open"), chooses: run("open", "choose"), back: run("open", "choose", "back"),
    closes: run("open", "choose", "close"), saved: run("open", "choose", "saved"),
    renames: run("rename"), deletes: run("delete"),
    "choose twice": run("open", "choose", "choose"),
    "rename in a form": run("open", "choose", "rename"),
    "back at the grid": run("open", "back"), unknown: run("open", "oauth-pending", "cli-pending"),
  };
}"""


def test_the_dialog_s_reducer(visit, ada):
    """U-S: selections are valid only on the grid; nothing of cli-activate comes back."""
    assert visit(ada).evaluate(REDUCED) == {
        "opens": "grid",
        "chooses": "form",
        "back": "grid",
        "closes": "closed",
        "saved": "closed",
        "renames": "rename",
        "deletes": "delete",
        "choose twice": "form",
        "rename in a form": "form",
        "back at the grid": "grid",
        "unknown": "grid",
    }
