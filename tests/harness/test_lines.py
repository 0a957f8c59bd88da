import pytest

from agents.harness.lines import as_object


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"a":', id="cut"),
        pytest.param(b'{"a": NaN}', id="not a number"),
        pytest.param(b'{"a": 1e999}', id="infinite"),
        pytest.param(b'{"a": ' + b"9" * 5_000 + b"}", id="a number too long"),
        pytest.param(b'{"a": ' + b"[" * 100_000, id="too deep"),
        pytest.param(b'{"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", id="too deep, but whole"),
    ],
)
def test_what_is_no_object_is_none(line):
    assert as_object(line) is None


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"a": 1.5}', {"a": 1.5}),
        ('{"a": "é🙂"}'.encode(), {"a": "é🙂"}),
        (b'{"a": "\\ud83d\\ude42"}', {"a": "🙂"}),
        (b'{"a": "\\ud83d"}', {"a": "�"}),
        (b'{"a\\u0000": ["\\u0000"]}', {"a�": ["�"]}),
        (b'{"a": "\xff"}', {"a": "�"}),
        (b'{"a": "\xed\xa0\x80"}', {"a": "���"}),
    ],
)
def test_texts_can_be_stored(line, value):
    assert as_object(line) == value
