from __future__ import annotations

import pytest

from agents.harness.answer import AnswerBuilder
from agents.harness.codex.items import Items, script_of
from tests.harness.driver import chunks_of, one, text_of, types_of


@pytest.fixture
def answer():
    answer = AnswerBuilder("run-1")
    answer.start()
    return answer


@pytest.fixture
def items(answer):
    return Items(answer)


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("/bin/bash -lc 'touch a && ls'", "touch a && ls"),
        ("/usr/bin/zsh -c ls", "ls"),
        ("git status", "git status"),
        ("python -c 'print(1)'", "python -c 'print(1)'"),
        ("bash -lc 'unfinished", "bash -lc 'unfinished"),
        ("", ""),
    ],
)
def test_a_command_is_shown_without_its_shell(command, script):
    assert script_of(command) == script


@pytest.mark.parametrize("shell", ["/tmp/x/bash", "./sh", "bin/sh", "/bin/../tmp/sh", "bash-x"])
def test_a_shell_of_somebody_s_own_is_shown(shell):
    assert script_of(f"{shell} -lc ls") == f"{shell} -lc ls"


@pytest.mark.parametrize(
    ("cwd", "beside"),
    [("/folder", {}), ("/folder/", {}), ("/folder/sub", {"cwd": "/folder/sub"}), ("", {})],
)
def test_a_commands_folder_is_shown_unless_it_is_the_working_folder(cwd, beside):
    items = Items(AnswerBuilder("run-1"), "/folder")
    items.started({"id": "c", "type": "commandExecution", "command": "ls", "cwd": cwd})

    assert items.find("c").input == {"command": "ls", **beside}


def test_an_item_that_comes_whole_is_shown_once(items, answer):
    items.completed({"id": "m", "type": "agentMessage", "text": "hi"})
    items.completed({"id": "r", "type": "reasoning", "summary": ["hm", "well"]})

    chunks = chunks_of(answer.take())
    assert text_of(chunks) == "hi"
    assert text_of(chunks, "reasoning") == "hmwell"


def test_what_is_said_after_an_answer_of_the_model_is_a_new_step(items, answer):
    items.text("m1", "one")
    items.answered()
    items.started({"id": "c", "type": "commandExecution", "command": "ls"})
    items.text("m2", "two")

    assert types_of(chunks_of(answer.take())).count("start-step") == 2


@pytest.mark.parametrize(
    ("item", "tool", "given"),
    [
        pytest.param(
            {"type": "webSearch", "query": "cats"}, "WebSearch", {"query": "cats"}, id="search"
        ),
        pytest.param(
            {"type": "collabAgentToolCall", "prompt": "Look."},
            "Agent",
            {"description": "Look."},
            id="a helper",
        ),
        pytest.param(
            {"type": "imageView", "path": "/a.png", "durationMs": 3},
            "imageView",
            {"path": "/a.png"},
            id="any other",
        ),
        pytest.param(
            {"type": "mcpToolCall", "server": "s", "tool": "t", "arguments": {"a": 1}},
            "mcp__s__t",
            {"a": 1},
            id="MCP",
        ),
    ],
)
def test_calls_of_other_tools(items, answer, item, tool, given):
    assert items.started({"id": "c"} | item)
    assert items.completed({"id": "c", "status": "completed"} | item)

    chunks = chunks_of(answer.take())
    call = one(chunks, "tool-input-available")
    assert (call["toolName"], call["input"]) == (tool, given)
    assert one(chunks, "tool-output-available")["toolCallId"] == "c"


def test_unknown_items_are_distinguished_from_ignored_ones(items):
    assert not items.started({"id": "x", "type": "quantum"})
    assert not items.completed({"id": "x", "type": "quantum"})
    assert items.started({"id": "x", "type": "userMessage"})
    assert items.completed({"id": "x", "type": "userMessage"})


def test_a_question_about_an_mcp_tool_finds_its_newest_open_call(items):
    for item_id in ("c1", "c2"):
        items.started({"id": item_id, "type": "mcpToolCall", "server": "s", "tool": "t"})
    assert items.find_mcp("s", "t") == "c2"

    items.completed({"id": "c2", "type": "mcpToolCall", "server": "s", "tool": "t"})
    assert items.find_mcp("s", "t") == "c1"
    assert items.find_mcp("s", "other") == ""


PNG = "iVBORw0KGgoAAAA"
BLOCKS = [
    {"type": "text", "text": "Look:"},
    {"type": "image", "mimeType": "image/png", "data": PNG},
]
PARTS = [
    {"type": "inputText", "text": "Look:"},
    {"type": "inputImage", "imageUrl": f"data:image/png;base64,{PNG}"},
]


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"type": "mcpToolCall", "result": {"content": BLOCKS}}, "Look:"),
        ({"type": "dynamicToolCall", "contentItems": PARTS}, "Look:"),
        ({"type": "imageGeneration", "result": PNG, "savedPath": "/a.png"}, "/a.png"),
    ],
)
def test_pictures_are_shown(items, answer, item, text):
    items.completed({"id": "c", "status": "completed"} | item)

    output = one(chunks_of(answer.take()), "tool-output-available")["output"]
    assert output == {"text": text, "pictures": [{"mediaType": "image/png", "data": PNG}]}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"type": "imageGeneration", "result": "AAAA"}, "its type is unknown"),
        ({"type": "mcpToolCall", "result": {"content": [{"type": "image"}]}}, "[image]"),
        ({"type": "imageGeneration", "result": ""}, "completed"),
    ],
)
def test_a_picture_that_can_not_be_shown_is_said(items, answer, item, words):
    items.completed({"id": "c", "status": "completed"} | item)

    assert words in one(chunks_of(answer.take()), "tool-output-available")["output"]
