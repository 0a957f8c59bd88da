"""The page of a person's tokens: one is made, seen once, and revoked."""

import pytest
from django.test import Client
from playwright.sync_api import expect

from mesh.tokens import find_sign_in


@pytest.fixture
def visit(live_server, page, ada):
    """Return ``visit()``: the page as Ada sees it."""

    def go():
        client = Client()
        client.force_login(ada)
        cookie = client.cookies["mesh_session"].value
        page.context.add_cookies(
            [{"name": "mesh_session", "value": cookie, "url": live_server.url}]
        )
        page.goto(f"{live_server.url}/accounts/machines/tokens")
        return page

    return go


def test_a_token_is_made_seen_once_and_revoked_by_keyboard_alone(visit, ada):
    page = visit()
    page.get_by_label("Name").focus()
    page.keyboard.type("nightly")
    page.keyboard.press("Enter")
    shown = page.get_by_label("Your new token")
    expect(shown).to_be_focused()
    value = shown.input_value()
    assert find_sign_in(value).user == ada

    visit()
    expect(shown).to_have_count(0)
    expect(page.get_by_role("heading", name="nightly")).to_be_visible()
    page.get_by_role("button", name="Revoke nightly").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_text("The token was revoked.")).to_be_visible()
    assert find_sign_in(value) is None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off(visit, width, theme):
    page = visit()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    page.get_by_label("Name").fill("n" * 120)
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_label("Your new token")).to_be_focused()

    assert page.evaluate("document.documentElement.scrollWidth") <= width
