"""The history, sent to a program that has lost its conversation."""

import json

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Again, BadInput, Write
from agents.harness.history import with_history
from tests.harness.driver import chunks_of, one, turn

EARLIER = [
    {"role": "user", "text": "my word is walnut"},
    {"role": "assistant", "text": "Noted."},
    {"role": "system", "text": "not for people"},
]


def given(**changes):
    return turn("go on", resumeSessionRef="s", earlier=EARLIER, **changes)


def test_the_newest_message_begins_with_what_was_said():
    fresh = with_history(given(forkSession=True))

    history, said = (part["text"] for part in fresh.last_message["parts"])
    assert "The person: my word is walnut\n\nYou: Noted." in history
    assert "not for people" not in history
    assert said == "go on"
    assert (fresh.resume_session_ref, fresh.forks_session) == (None, False)


def test_where_nothing_is_known_the_message_stays_as_it_is():
    fresh = with_history(turn("go on", resumeSessionRef="s"))

    assert fresh.prompt == "go on"
    assert fresh.resume_session_ref is None


@pytest.mark.parametrize("earlier", ["x", [1], {}])
def test_what_is_no_history_is_refused(earlier):
    with pytest.raises(BadInput, match="earlier"):
        turn("hi", earlier=earlier)


def test_claude_code_gets_the_history_when_it_starts_again():
    adapter = ADAPTERS["claude-code"]()
    adapter.begin(given())

    *_, again = adapter.ended(1, "No conversation found with session ID: s")

    assert isinstance(again, Again)
    assert "walnut" in again.turn.prompt


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("codex", [{"id": 1, "result": {}}, {"id": 2, "error": {"message": "no thread"}}]),
        ("acp:gemini", [{"id": 1, "result": {}}]),  # it can't take any session up again
    ],
)
def test_other_agents_get_the_history_with_the_message(kind, refused):
    adapter = ADAPTERS[kind]()
    outs = adapter.begin(given())
    for message in refused:
        outs += adapter.feed(json.dumps(message).encode())
    opened = {"thread": {"id": "t"}, "sessionId": "t"}
    outs += adapter.feed(json.dumps({"id": len(refused) + 1, "result": opened}).encode())

    assert "messages again" in one(chunks_of(outs), "data-notice")["data"]["text"]
    written = [out.line.decode() for out in outs if isinstance(out, Write)]
    assert [line for line in written if "my word is walnut" in line]


@pytest.mark.parametrize("kind", ["claude-code", "codex", "acp:gemini"])
def test_a_turn_that_begins_afresh_needs_a_new_program_which_the_next_turn_keeps(kind):
    adapter = ADAPTERS[kind]()
    first, afresh, last = (turn("hi"), turn("hi", beginsAfresh=True), turn("hi"))
    keys = []
    for each in (first, afresh, last):
        keys.append(adapter.key(each))
        adapter.begin(each)

    assert keys[0] != keys[1]
    assert keys[1] == keys[2]


@pytest.mark.parametrize(
    ("earlier", "knows"),
    [(EARLIER, "the earlier messages without what was refused"), ([], "no others")],
)
def test_a_turn_that_begins_afresh_says_what_the_agent_knows(earlier, knows):
    adapter = ADAPTERS["claude-code"]()

    outs = adapter.begin(turn("go on", beginsAfresh=True, earlier=earlier))

    notice = one(chunks_of(outs), "data-notice")["data"]
    assert (notice["code"], knows in notice["text"]) == ("began_afresh", True)
