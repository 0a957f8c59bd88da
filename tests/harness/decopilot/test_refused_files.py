"""A provider's words about a file name the file, or at least say that it is about one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.decopilot.refused_files import is_about_files, named_files, texts_of


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        pytest.param(400, "Could not process image", True, id="Anthropic: damaged"),
        pytest.param(
            400,
            "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum",
            True,
            id="Anthropic: large",
        ),
        pytest.param(413, "Request exceeds the maximum size", True, id="too large a request"),
        pytest.param(400, "invalid_image_format", True, id="OpenAI: a code"),
        pytest.param(400, "Unsupported MIME type: image/gif", True, id="Gemini: its type"),
        pytest.param(400, "Request payload size exceeds the limit", True, id="Gemini: all files"),
        pytest.param(404, "No endpoints found that support image input", True, id="OpenRouter"),
        pytest.param(400, "model does not support multimodal requests", True, id="a blind model"),
        pytest.param(400, "prompt is too long: 210000 tokens", False, id="the length"),
        pytest.param(404, "The model does not exist", False, id="no such model"),
        pytest.param(429, "image quota exceeded", False, id="a limit that passes"),
        pytest.param(None, "image", False, id="no status"),
    ],
)
def test_an_error_is_about_a_file_or_not(status, words, expected):
    assert is_about_files(status, words) is expected


ANTHROPIC = {"messages": [{"content": [{"text": "look"}, {"source": {"data": "AAAA"}}]}]}
RESPONSES = {"input": [{"content": [{"image_url": "data:image/png;base64,AAAA"}]}]}


@pytest.mark.parametrize(
    ("body", "words", "expected"),
    [
        pytest.param(
            ANTHROPIC, "messages.0.content.1.image.source.base64.data: too big", ["AAAA"], id="dots"
        ),
        pytest.param(
            RESPONSES,
            "Invalid 'input[0].content[0].image_url'. Expected",
            ["data:image/png;base64,AAAA"],
            id="brackets",
        ),
        pytest.param(ANTHROPIC, "messages.0.content.7: no", ["look", "AAAA"], id="not there"),
        pytest.param(ANTHROPIC, "messages.9.content: no", [], id="no such message"),
        pytest.param(ANTHROPIC, "messages: too many", [], id="all of them"),
        pytest.param(ANTHROPIC, "Could not process image", [], id="no path"),
        pytest.param(None, "messages.0.content", [], id="no body"),
    ],
)
def test_a_path_names_what_is_there(body, words, expected):
    assert named_files(body, words) == expected


@given(st.recursive(st.none() | st.text(), st.lists), st.text())
def test_any_words_are_read(body, words):
    named_files({"messages": body}, f"messages.0.{words} input[1] {words}")
    texts_of(body)
