"""Bytes that others made, on Mesh's own origin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.foreign_content import BYTES, JSON, NotAPage, data_type, refuse_to_show


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/ld+json", JSON),
        ("text/html", BYTES),
        ("text/html+json", BYTES),
        ("image/svg+xml", BYTES),
        ("application/json,text/html", BYTES),
        ("", BYTES),
    ],
)
def test_what_others_made_is_json_or_bytes(said, passed):
    assert data_type(said) == passed


@given(said=st.text())
def test_there_is_no_third_type(said):
    assert data_type(said) in (JSON, BYTES)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Dest": "empty"}, {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}],
    ids=str,
)
def test_programs_read_it(headers):
    refuse_to_show(headers)


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {"Sec-Fetch-Dest": dest}
            for dest in ("document", "frame", "iframe", "embed", "script", "worker", "new-kind")
        ),
        {"Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "Navigate"},
    ],
    ids=str,
)
def test_no_browser_shows_it(headers):
    with pytest.raises(NotAPage):
        refuse_to_show(headers)
