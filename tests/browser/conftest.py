"""The page against a server that says what a test tells it to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.scripted_server import ScriptedServer

# Playwright's own event loop runs in the test's thread; Django would take it for ours.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
expect.set_options(timeout=30_000)  # milliseconds: a busy machine is no defect


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def server():
    server = ScriptedServer().start()
    yield server
    server.stop()
