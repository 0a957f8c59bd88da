from __future__ import annotations

import pytest

from agents.harness.files import as_text, read_data_url


@pytest.mark.parametrize(
    ("url", "data"),
    [
        ("data:text/plain;base64,aGk=", b"hi"),
        ("data:text/plain,h%20i", b"h i"),
        ("data:text/plain;base64,???", None),
        ("data:no-comma", None),
        ("https://mesh.example/a", None),
        ("", None),
    ],
)
def test_only_what_is_in_the_message_is_read(url, data):
    assert read_data_url(url) == data


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"filename": "a.txt", "url": "data:,hi"}, "a.txt:\n\nhi"),
        ({"url": "data:;base64,/w=="}, "[a file could not be read: its type is not supported]"),
        ({"url": "x"}, "[a file could not be read: it is not part of the message]"),
    ],
)
def test_a_file_as_text(part, text):
    assert as_text(part) == text
