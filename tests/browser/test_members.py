"""Two people in two browsers: one invites, the other signs up, works there, and is removed."""

import re

import pytest
from django.test import Client
from playwright.sync_api import expect

from mesh.models import Membership

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def team(settings):
    settings.MESH_EMBEDDED = False


@pytest.fixture
def visit(live_server, page, ada, agent):
    """Return ``visit(user)``: the members' page as that person sees it."""

    def go(user=ada):
        client = Client()
        client.force_login(user)
        cookie = client.cookies["mesh_session"].value
        page.context.add_cookies(
            [{"name": "mesh_session", "value": cookie, "url": live_server.url}]
        )
        page.goto(f"{live_server.url}/home/settings/members")
        return page

    return go


@pytest.fixture
def other(browser):
    """Another person's browser."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def row(page, name):
    return page.locator(".members > .key").filter(
        has=page.locator(".who__name").filter(has_text=re.compile(rf"^{name}\b"))
    )


def test_a_second_person_gets_in_and_out(visit, other, live_server):
    page = visit()
    page.get_by_label("Role", exact=True).select_option("Viewer")
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("The link of the new invitation").input_value()
    page.goto(f"{live_server.url}/home/settings/members")
    expect(page.get_by_text("1 use left")).to_be_visible()
    expect(page.get_by_label("The link of the new invitation")).to_have_count(0)

    other.goto(link)
    expect(other.get_by_role("heading", name="Join Home")).to_be_visible()
    assert "invitation=" not in other.url
    other.get_by_role("link", name="Make an account").click()
    other.get_by_label("Username").fill("grace")
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    other.get_by_label(re.compile("again", re.IGNORECASE)).fill(PASSWORD)
    other.get_by_role("button", name="Sign up").click()
    expect(other.get_by_text("As a viewer you can read here")).to_be_visible()
    other.goto(f"{live_server.url}/home/settings/members")
    expect(row(other, "ada")).to_contain_text("Owner")
    expect(other.get_by_text("Invite people")).to_have_count(0)

    page.reload()
    row(page, "grace").get_by_label("Role of grace").select_option("Member")
    row(page, "grace").get_by_role("button", name="Save").click()
    expect(page.get_by_text("grace is now a member.")).to_be_visible()
    other.goto(f"{live_server.url}/home/")
    expect(other.get_by_role("textbox", name="Message")).to_be_visible()

    row(page, "grace").get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("grace was removed.")).to_be_visible()
    expect(row(page, "grace")).to_have_count(0)
    other.goto(f"{live_server.url}/")
    expect(other.get_by_text("You are in no organization yet")).to_be_visible()
    other.goto(link)
    expect(other.get_by_text("This invitation no longer works")).to_be_visible()


def test_removing_can_be_left_and_done_by_keyboard_alone(visit, bob):
    page = visit()
    row(page, "bob").get_by_role("button", name="Remove").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert Membership.objects.filter(user=bob).exists()

    row(page, "bob").get_by_role("button", name="Remove").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("dialog").get_by_role("button", name="Remove")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_text("bob was removed.")).to_be_visible()


def test_who_leaves_is_out(visit, ada, bob):
    page = visit(bob)
    page.get_by_role("button", name="Leave").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()

    expect(page.get_by_text("You are in no organization yet")).to_be_visible()
    assert not Membership.objects.filter(user=bob).exists()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off(visit, bob, width, theme):
    bob.first_name = "Bartholomew Maximilian"
    bob.save()
    page = visit()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_label("The link of the new invitation")).to_be_focused()

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for button in page.locator(".members button:visible").all():
        box = button.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_a_second_organization_is_made_and_changed_to(visit, live_server):
    page = visit()
    page.get_by_role("link", name="Make another organization").click()
    page.get_by_label("Name", exact=True).fill("Acme Research")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator(".settings__where")).to_have_text("Acme Research")
    page.get_by_role("link", name="Chats").click()
    expect(page.locator(".sidebar__where")).to_have_text("Acme Research")

    page.locator(".user").click()
    group = page.get_by_role("group", name="Organizations")
    expect(group.get_by_role("link", name="Acme Research")).to_have_attribute(
        "aria-current", "true"
    )
    group.get_by_role("link", name="Home").click()

    expect(page).to_have_url(f"{live_server.url}/home/")
    expect(page.locator(".sidebar__where")).to_have_text("Home")
