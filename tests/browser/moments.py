"""Texts that a page shows for a moment only, seen however slow the test is."""

from __future__ import annotations

from contextlib import contextmanager

from tests.waiting import until

_WATCH = """([selector, text]) => {
  window.wasShown = false;
  const look = () => {
    for (const node of document.querySelectorAll(selector)) {
      if (node.textContent.trim() === text) window.wasShown = true;
    }
  };
  const everything = { subtree: true, childList: true, characterData: true };
  new MutationObserver(look).observe(document.body, everything);
}"""


@contextmanager
def shown_once(page, selector, text):
    """Wait, at the end of the block, until an element of ``selector`` has shown ``text`` in it."""
    page.evaluate(_WATCH, [selector, text])
    yield
    until(lambda: page.evaluate("window.wasShown"))
