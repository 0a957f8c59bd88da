"""A search by keyboard that finds nothing, and what stands after it."""

from __future__ import annotations

from playwright.sync_api import expect


def search_in_vain_and_leave(page):
    """Search the one chat by words that it does not have; Escape shows it and goes to the box."""
    page.keyboard.press("Control+k")
    page.keyboard.type("zzz")
    expect(page.get_by_text("No chat has these words")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.locator(".row:visible")).to_have_count(1)
    expect(page.locator("#text")).to_be_focused()
