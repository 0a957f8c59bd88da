"""What makes two origins the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.lib.origins import is_same


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        ("https://mesh.example", True),
        ("https://mesh.example:443", True),
        ("HTTPS://Mesh.Example", True),
        ("http://mesh.example", False),
        ("http://mesh.example:443", False),
        ("https://mesh.example:8443", False),
        ("https://mesh.example/", False),
        ("https://mesh.example.", False),
        ("https://user@mesh.example", False),
        ("https://mesh.example?", False),
        ("https://mesh.example#", False),
        ("https://mesh.example:", False),
        ("https://mesh.example:99999", False),
        (" https://mesh.example", False),
        ("https://mesh.example\t", False),
        ("https://mesh.example, https://mesh.example", False),
        ("//mesh.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_origin(origin, same):
    assert is_same(origin, scheme="https", host="mesh.example") is same


def test_an_address_of_ipv6():
    assert is_same("http://[::1]:8000", scheme="http", host="[::1]:8000")


@given(st.text(max_size=40), st.sampled_from(["http", "https", "ftp", ""]), st.text(max_size=40))
def test_any_text_is_compared(origin, scheme, host):
    assert is_same(origin, scheme=scheme, host=host) in (True, False)
