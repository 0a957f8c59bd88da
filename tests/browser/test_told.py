"""What a page says besides the answer: retries, notices, pictures, marks, the context's use."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up

DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADU"
    "lEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PICTURE = {"mediaType": "image/png", "data": DOT}


@pytest.fixture
def opened(page, server):
    def open_it(*messages):
        server.add_thread(messages=list(messages), title="Told")
        page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
        server.wait_until_followed()
        return page

    return open_it


def retry(**data):
    return {"type": "data-retry", "id": "retry", "data": data}


def test_a_retry_counts_down_and_is_told_afterwards(opened, server):
    page = opened(made_up.mine("hi"))
    told = {"attempt": 2, "of": 10, "inMs": 60_000, "status": 429, "reason": "rate_limit"}
    server.say(*made_up.begin(), retry(**told))
    line = page.locator(".status")
    said = "Trying again (attempt 2 of 10): the provider said 429, too many requests"
    expect(line).to_contain_text(said)
    expect(line).to_contain_text(re.compile(r"in \d+ s"))

    server.say(made_up.delta("Hello"), *made_up.end())

    expect(page.locator(".note")).to_have_text(
        "Tried again 2 times: the provider said 429, too many requests."
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"attempt": 1, "status": None, "reason": "connection reset"}, "once: the provider said: "),
        ({"attempt": 3, "status": 418, "reason": "a\u202eb"}, "3 times: the provider said 418, a⟨"),
        ({}, "once: the provider did not answer."),
    ],
)
def test_a_retry_says_what_is_known(opened, data, words):
    page = opened(made_up.mine("hi"), made_up.answer(retry(**data), made_up.text("Hello")))

    expect(page.locator(".note")).to_contain_text(f"Tried again {words}")


@pytest.mark.parametrize("code", ["warning", "model_changed", "compacted", "hook", "of_tomorrow"])
def test_a_notice_is_a_small_note_with_a_picture(opened, code):
    notice = {"type": "data-notice", "data": {"code": code, "text": "Mind\u200b this."}}
    page = opened(made_up.mine("hi"), made_up.answer(notice, made_up.text("Hello")))

    expect(page.locator(".note--text")).to_have_text("Mind⟨U+200B⟩ this.")
    expect(page.locator(".note--text .icon use")).to_have_count(1)


def test_a_tool_s_picture_is_seen_below_its_row_and_opens(opened, page):
    output = {"text": "A plot.", "pictures": [PICTURE]}
    page = opened(made_up.mine("plot"), made_up.answer(made_up.tool("Plot", {}, output)))
    button = page.get_by_role("button", name="Open picture 1 of the tool")
    with page.expect_popup() as shown:
        button.first.click()

    assert shown.value.url.startswith("blob:")
    expect(page.locator(".tool")).not_to_have_attribute("open", "")


def test_a_picture_that_could_run_a_script_is_not_shown(opened):
    output = {"text": "", "pictures": [{"mediaType": "image/svg+xml", "data": DOT}]}
    page = opened(made_up.mine("plot"), made_up.answer(made_up.tool("Plot", {}, output)))

    expect(page.locator(".tool__pictures")).to_have_text("A picture that can’t be shown")
    expect(page.locator(".tool img")).to_have_count(0)


def test_a_stored_picture_is_fetched_when_asked_for(opened, server):
    server.whole = {"text": "A plot.", "pictures": [PICTURE]}
    url = f"/api/home/decopilot/threads/{made_up.THREAD}/messages/{made_up.RUN}/part?call=t-1"
    short = {"text": "A plot.", "pictures": [{"mediaType": "image/png", "data": ""}]}
    cut = made_up.tool("Plot", {}, short, outputCut={"size": 90_000, "url": url})
    page = opened(made_up.mine("plot"), made_up.answer(cut))
    page.get_by_role("button", name="Show the picture").click()

    expect(page.locator(".tool__pictures img")).to_be_visible()


def test_a_call_that_ran_unasked_says_so_and_is_counted(opened):
    unasked = {"callProviderMetadata": {"mesh": {"unasked": True}}}
    calls = [made_up.tool("Bash", {"command": f"echo {n}"}, "ok", id=f"t-{n}") for n in range(3)]
    calls[0] |= unasked
    page = opened(made_up.mine("go"), made_up.answer(*calls, made_up.text("Done.")))
    expect(page.locator(".steps > summary")).to_have_text("Ran 3 commands · 1 without asking")
    page.locator(".steps > summary").click()

    expect(page.locator(".tool__unasked:visible")).to_have_text("Ran without asking")


def test_what_was_denied_or_stopped_is_not_counted_as_done(opened):
    edit = {"file_path": "a", "old_string": "x", "new_string": "y"}
    calls = [
        made_up.tool("Edit", edit, "ok", id="t-1"),
        made_up.tool("Edit", edit, state="output-denied", id="t-2"),
        made_up.tool("Edit", edit, state="approval-requested", id="t-3", approval={"id": "a"}),
        made_up.tool("Edit", edit, state="output-error", id="t-4", errorText="No such text."),
    ]
    page = opened(made_up.mine("go"), made_up.answer(*calls, made_up.text("Done.")))
    expect(page.locator(".steps > summary")).to_have_text(
        "Made 1 edit · 1 failed · 1 denied · 1 not finished"
    )
    page.locator(".steps > summary").click()

    words = page.locator(".steps .tool .tool__what").all_inner_texts()
    assert words == ["Edited", "Edit", "Edit", "Edit"]


def test_output_before_an_approval_is_not_called_the_output(opened):
    call = made_up.tool("Edit", {}, "So far.", state="approval-requested", approval={"id": "a"})
    page = opened(made_up.mine("go"), made_up.answer(call, made_up.text("Done.")))
    page.locator(".tool summary").click()

    expect(page.locator(".tool .block__head").last).to_contain_text("Output so far")


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        pytest.param(
            {"contextUsed": 76_000, "contextWindow": 200_000}, "38 % of 200,000 tokens", id="known"
        ),
        pytest.param({"contextWindow": 200_000}, None, id="unknown"),
    ],
)
def test_the_ring_says_how_full_the_context_is(opened, usage, words):
    page = opened(made_up.mine("hi"), made_up.answer(made_up.text("Hello"), usage=usage))
    ring = page.locator("#context")
    if words is None:
        expect(ring).to_be_hidden()
    else:
        expect(ring).to_have_attribute("title", words)
        expect(ring).to_contain_text(words)


def test_an_answer_that_the_agent_began_by_itself_says_so(opened):
    part = {"type": "data-unasked", "id": "unasked", "data": {"reason": "the build ended"}}
    words = "Claude Code began this by itself: the build\u202e ended"
    answer = made_up.answer(part, made_up.text("It passed."))
    page = opened(made_up.mine("hi"), made_up.began(words), answer)

    note = page.locator(".note")
    expect(note).to_have_text("Claude Code began this by itself: the build⟨U+202E⟩ ended")
    expect(page.locator(".message--mine")).to_have_count(1)


def test_an_answer_that_the_agent_began_by_itself_can_not_be_asked_for_again(opened):
    failed = made_up.answer(state="failed", error={"code": "stuck", "message": "Stuck."})
    page = opened(made_up.mine("hi"), made_up.began("Claude Code began this."), failed)

    expect(page.locator(".card--bad")).to_contain_text("Stuck.")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_form_says_which_server_asks_and_takes_only_its_choices(opened, server):
    page = opened(made_up.mine("paint it"))
    question = {"question": "Colour", "options": [{"label": "red"}], "other": False}
    call = {"toolCallId": "q-1", "toolName": "AskUserQuestion", "dynamic": True}
    asks = {"questions": [question], "server": "paint\u202eer"}
    server.say(
        *made_up.begin(),
        {"type": "tool-input-available", "input": asks, **call},
        {"type": "tool-approval-request", "approvalId": "a-1", "toolCallId": "q-1"},
    )

    card = page.locator(".approval--question")
    expect(card).to_contain_text("The MCP server paint⟨U+202E⟩er asks:")
    expect(card.locator("input[type=text]")).to_be_hidden()
