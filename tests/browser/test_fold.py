"""fold.js is the same function as threads/core/fold.py."""

import json
from pathlib import Path

import pytest

from tests.browser.scripted_server import ScriptedServer

CASES = json.loads(
    (Path(__file__).parent.parent / "threads" / "fold_cases.json").read_text(encoding="utf-8")
)

FOLD = """async ([chunks, cut]) => {
  const { Fold } = await import("/static/mesh/fold.js");
  let fold = new Fold();
  chunks.slice(0, cut).forEach((chunk) => fold.apply(chunk));
  if (cut < chunks.length) {
    // A page that is loaded in the middle has what was stored, and nothing else.
    fold = new Fold(fold.messageId, JSON.parse(JSON.stringify(fold.parts)), fold.metadata);
    chunks.slice(cut).forEach((chunk) => fold.apply(chunk));
  }
  return { id: fold.messageId, metadata: fold.metadata, parts: fold.parts };
}"""


@pytest.fixture(scope="module")
def evaluate(browser):
    """Return ``evaluate(script, argument)`` on a page that may import our modules."""
    server = ScriptedServer().start()
    page = browser.new_page()
    page.goto(f"{server.url}/static/mesh/favicon.svg")
    yield page.evaluate
    page.close()
    server.stop()


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_the_same_cases_as_on_the_server(evaluate, case):
    assert evaluate(FOLD, [case["chunks"], len(case["chunks"])]) == case["message"]


@pytest.mark.parametrize("cut", range(1, 12))
def test_the_fold_continues_wherever_the_page_was_loaded(evaluate, cut):
    chunks = [
        {"type": "start", "messageId": "m1"},
        {"type": "reasoning-start", "id": "r"},
        {"type": "reasoning-delta", "id": "r", "delta": "Hm, "},
        {"type": "reasoning-delta", "id": "r", "delta": "yes"},
        {"type": "reasoning-end", "id": "r"},
        {"type": "text-start", "id": "t"},
        {"type": "text-delta", "id": "t", "delta": "Hel"},
        {"type": "text-delta", "id": "t", "delta": "lo"},
        {"type": "text-end", "id": "t"},
        {"type": "tool-input-start", "toolCallId": "c", "toolName": "Bash", "dynamic": True},
        {"type": "tool-input-available", "toolCallId": "c", "toolName": "Bash", "input": {}},
        {"type": "tool-output-available", "toolCallId": "c", "output": "ok"},
    ]
    assert evaluate(FOLD, [chunks, cut]) == evaluate(FOLD, [chunks, len(chunks)])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ('{"a": "b', {"a": "b"}),
        ('{"a": tr', {"a": True}),
        ('{"a": 1, "b', {"a": 1}),
        ('{"a": [1, {"b": nul', {"a": [1, {"b": None}]}),
        ('{"a": "x\\u00', {"a": "x"}),
        ('{"a": -', {}),
        ('{"__proto__": {"x": 1}, "a": "', {"__proto__": {"x": 1}, "a": ""}),
        ("no JSON", None),
    ],
)
def test_json_that_is_still_being_written(evaluate, text, value):
    read = """async (text) => JSON.stringify(
        (await import("/static/mesh/fold.js")).parsePartial(text))"""

    assert json.loads(evaluate(read, text)) == value
