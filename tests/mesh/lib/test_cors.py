"""Which origins an operator may name."""

import pytest

from mesh.lib.cors import parse_origins


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        pytest.param("", (), id="none"),
        pytest.param("https://app.example", ("https://app.example",), id="one"),
        pytest.param(
            " https://App.example:443/ , http://localhost:5173,",
            ("https://app.example", "http://localhost:5173"),
            id="as browsers send them",
        ),
        pytest.param("http://[::1]:80", ("http://[::1]",), id="an address"),
    ],
)
def test_origins(text, origins):
    assert parse_origins(text) == origins


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("*", id="all"),
        pytest.param("https://*.example", id="a pattern"),
        pytest.param("app.example", id="no scheme"),
        pytest.param("null", id="null"),
        pytest.param("http://app.example", id="plain http elsewhere"),
        pytest.param("https://app.example/chat", id="a path"),
        pytest.param("https://ada@app.example", id="a user"),
        pytest.param("https://app.example:99999", id="no port"),
    ],
)
def test_others_are_refused(text):
    with pytest.raises(ValueError):
        parse_origins(text)
