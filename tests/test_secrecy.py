"""The look for secrets finds them, wherever a test may show one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core import signing
from django.http import HttpResponse
from django.urls import path

from sandboxes.preview.app import Previews
from tests.secrecy import MARK, found_in

pytestmark = pytest.mark.programs

SHOWING = f"""
import logging, sys
def test_out(): print("{MARK}")
def test_err(): print("{MARK}", file=sys.stderr)
def test_log(): logging.warning("{MARK}")
def test_nothing(): print("nothing")
"""


def test_a_test_that_shows_a_secret_fails(tmp_path):
    """In a process of its own, whose output is not this test's."""
    (tmp_path / "test_showing.py").write_text(SHOWING)
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.secrecy", str(tmp_path)],
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": root},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert "3 failed, 1 passed" in done.stdout
    for where in ("stdout", "stderr", "log"):
        assert f"A secret of the tests was shown: Captured {where} call." in done.stdout


def tell(request):
    return HttpResponse(f"your key is {MARK}")


urlpatterns = [path("x", tell)]


def test_an_answer_with_a_secret_in_it_is_none(client, settings):
    settings.ROOT_URLCONF = "tests.test_secrecy"
    with pytest.raises(AssertionError, match="answered"):
        client.get("/x")


async def test_nor_one_of_the_other_client(async_client, settings):
    settings.ROOT_URLCONF = "tests.test_secrecy"
    with pytest.raises(AssertionError, match="answered"):
        await async_client.get("/x")


def test_what_is_signed_holds_none():
    with pytest.raises(AssertionError, match="signed"):
        signing.dumps({"ticket": MARK})


async def test_a_preview_answers_none():
    said = []

    async def send(message):
        said.append(message)

    scope = {"type": "http", "path": "/", "raw_path": b"/", "query_string": b"", "method": "GET"}
    scope |= {"headers": [(b"accept", b"text/html")]}

    with pytest.raises(AssertionError, match="preview"):
        await Previews(frame_ancestors=lambda: MARK).serve(scope, None, send, handle="")
    assert said == []


def test_a_file_with_a_secret_in_it_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/log").write_bytes(b"\x00key=" + MARK.encode())
    (tmp_path / "b").write_text("nothing")

    assert found_in(tmp_path) == ["a/log"]
