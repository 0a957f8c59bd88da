"""What an MCP server asks the person in the middle of a call; the servers are real."""

from __future__ import annotations

import shutil

import pytest
from asgiref.sync import sync_to_async

from mesh.develop import TOOLS
from tests.harness.mcp_asking import modern, old
from tests.harness.shapes import check_chunks

pytestmark = pytest.mark.django_db(transaction=True)

needs_old = pytest.mark.skipif(
    not (TOOLS / "node_modules/@modelcontextprotocol/sdk").is_dir() or shutil.which("node") is None,
    reason="the MCP SDK is not there: make test installs it",
)


@pytest.fixture(
    params=[
        pytest.param(modern, id="2026-07-28"),
        pytest.param(old, id="2025-11-25", marks=[needs_old, pytest.mark.real_cli]),
    ]
)
async def painter(request, runs):
    """Return what makes a run whose agent has the painter, and has it paint."""
    with request.param() as url:

        async def make():
            turn = await sync_to_async(runs)("tool: mcp__painter__paint {}", approval_level="auto")
            servers = [{"name": "painter", "url": url, "headers": {}}]
            turn["virtualMcp"]["mcpServers"] = servers
            return turn

        yield make


def questions(run):
    asked = [ask["toolCallId"] for ask in run.of("tool-approval-request")]
    inputs = run.of("tool-input-available")
    return [each["input"] for each in inputs if each["toolCallId"] in asked]


def results(run):
    return [chunk["output"] for chunk in run.of("tool-output-available")]


async def test_a_form_reaches_the_person_and_their_answers_the_server(painter, ask):
    answers = {"How shall it look?\nColour": "blue", "Coats": "2"}
    run = await ask(await painter(), decision="allow", answers=answers | lower(answers))

    check_chunks(run.chunks)
    [asked] = questions(run)
    assert asked["server"] == "painter"
    assert len(asked["questions"]) == 2
    assert results(run) == ["Answered, for painter.", "2 coats of blue"]


def lower(answers):
    """The old server's fields have no titles."""
    return {
        text.replace("Colour", "colour").replace("Coats", "coats"): each
        for text, each in answers.items()
    }


async def test_a_person_may_decline(painter, ask):
    run = await ask(await painter(), decision="deny")

    check_chunks(run.chunks)
    assert len(run.of("tool-output-denied")) == 1
    assert run.chunks[-1]["finishReason"] == "stop"


async def test_answers_that_do_not_fit_are_asked_for_again_and_then_declined(painter, ask):
    run = await ask(await painter(), decision="allow", answers={"coats": "many"})

    check_chunks(run.chunks)
    asked = questions(run)
    assert len(asked) == 3
    assert "is needed" in asked[1]["questions"][0]["question"]
    assert run.chunks[-1]["finishReason"] == "stop"
