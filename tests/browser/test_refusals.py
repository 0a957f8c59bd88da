"""What a person sees when the model refuses: why, what is left out, and how the chat goes on."""

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.threads.test_files import PIXEL
from tests.waiting import until
from threads.core.run_errors import explain

CHAT = f"/home/threads/{made_up.THREAD}"
WORDS = "The model refused to answer. It said: This could enable cyber harm."
CODE = "model_refused"


@pytest.fixture
def refused(page, server):
    """Return ``refused(*files, earlier=…)``: a chat whose last message was refused."""

    def go(*files, earlier=True):
        message, hint = explain(CODE, WORDS)
        error = {"code": CODE, "message": message, "hint": hint}
        before = [made_up.mine("hello", id="m-0"), made_up.answer(made_up.text("Hi."), id="a-0")]
        said = made_up.mine("bad words")
        said["parts"] += files
        answer = made_up.answer(made_up.text("I begin"), state="failed", error=error)
        server.add_thread(messages=[*(before if earlier else []), said, answer])
        page.goto(server.url + CHAT)
        return page

    return go


def test_the_refused_exchange_is_marked_and_stays_readable(refused):
    page = refused()

    card = page.get_by_role("group", name="The run failed")
    expect(card).to_contain_text(WORDS)
    expect(card).to_contain_text("left out of what the model is sent from now on")
    marked = page.locator(".message--left-out")
    expect(marked).to_have_count(2)
    expect(marked.first).to_contain_text("bad words")
    expect(marked.first).to_contain_text("Not sent to the model again")
    expect(marked.last).to_contain_text("I begin")
    expect(page.get_by_text("Not sent to the model again")).to_have_count(1)


def test_the_message_is_sent_again_without_the_earlier_ones(refused, server):
    page = refused()
    page.get_by_role("button", name="Send again without the earlier messages").click()

    until(lambda: server.posts)
    (message,) = server.posts[0]["messages"]
    assert message["parts"] == [{"type": "text", "text": "bad words"}]
    assert message["metadata"] == {"withoutEarlier": True}


def test_the_message_is_sent_again_without_its_file(refused, server):
    server.files["0"] = ("image/png", PIXEL)
    file = {"type": "file", "mediaType": "image/png", "filename": "a.png"}
    page = refused({**file, "url": "/api/home/decopilot/files/0"}, earlier=False)
    expect(page.get_by_role("button", name="without the earlier")).to_have_count(0)
    page.get_by_role("button", name="Send again without the file").click()

    until(lambda: server.posts)
    assert server.posts[0]["messages"][0]["parts"] == [{"type": "text", "text": "bad words"}]


def test_the_words_go_back_to_the_composer(refused, server):
    page = refused()
    page.get_by_role("button", name="Edit and send again").click()

    expect(page.locator("#text")).to_have_value("bad words")
    assert server.posts == []


def test_a_live_refusal_marks_the_message_too(page, server):
    server.add_thread(messages=[made_up.mine("bad words")])
    page.goto(server.url + CHAT)
    server.say(*made_up.begin())
    server.say(*made_up.end("failed", code=CODE, message=WORDS, hint="Say it in other words."))

    expect(page.locator(".message--mine")).to_contain_text("Not sent to the model again")
