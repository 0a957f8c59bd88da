"""A picture that the provider refuses is left out and named, and the chat goes on."""

from __future__ import annotations

import base64
import json

import pytest
from asgiref.sync import sync_to_async

from tests.pictures import declaring, half, picture
from threads.models import Attachment

pytestmark = pytest.mark.django_db(transaction=True)

TALL = picture("PNG", (300, 8570))
WIDE = picture("PNG", (2576, 1000))
PHOTO = picture("JPEG", (800, 600))


def notices(run):
    found = (chunk["data"] for chunk in run.of("data-notice"))
    return [each["text"] for each in found if each["code"] == "files_left_out"]


@pytest.mark.parametrize("kind", ["anthropic", "google"], indirect=True)
@pytest.mark.parametrize(
    ("data", "left_out"),
    [
        pytest.param(TALL, False, id="8570 pixels high"),
        pytest.param(half(PHOTO), True, id="half a JPEG"),
        pytest.param(picture("PNG")[:28], True, id="28 bytes of a PNG"),
        pytest.param(declaring(60_000, 60_000), True, id="too many pixels"),
    ],
)
async def test_a_picture_of_an_older_version_is_read_before_it_is_sent(
    chat, standin, data, left_out
):
    part = await sync_to_async(chat.file)(data)
    first = await chat.send("say: one", part)
    second = await chat.send("say: two")

    assert first.text.startswith("one")
    assert second.text == "two"
    assert standin.refusals == []
    row = await Attachment.objects.aget()
    assert (row.width == 0) is left_out
    assert max(row.width, row.height) <= 2000


@pytest.mark.parametrize("kind", ["anthropic"], indirect=True)
async def test_twenty_one_large_pictures_of_an_older_version_are_accepted(chat, standin):
    for _ in range(3):
        parts = [await sync_to_async(chat.file)(WIDE) for _ in range(7)]
        await chat.send("say: seen", *parts)

    assert (await chat.send("say: more")).text == "more"
    assert standin.refusals == []


async def test_a_blind_model_gets_the_names(chat, standin):
    standin.is_blind = True
    part = await sync_to_async(chat.file)(PHOTO, "cat.jpg", size=(800, 600))

    first = await chat.send("say: one", part)
    second = await chat.send("say: two")

    assert first.text.startswith("one")
    assert second.text == "two"
    assert len(standin.refusals) == 1
    (notice,) = notices(first)
    assert "refused cat.jpg, so it was sent only the name." in notice
    assert "It said: This model does not support image input." in notice
    assert "cat.jpg is left out" in json.dumps(standin.messages[-1].body)


@pytest.mark.parametrize("kind", ["anthropic", "openai", "openai-compatible"], indirect=True)
async def test_of_several_files_only_the_one_that_the_provider_names_is_left_out(chat, standin):
    good, bad = [
        await sync_to_async(chat.file)(data, name, size=(1, 1))
        for data, name in ((PHOTO, "good.jpg"), (half(PHOTO), "bad.jpg"))
    ]
    first = await chat.send("say: one", good, bad)

    (notice,) = notices(first)
    assert first.text.startswith("one")
    assert len(standin.refusals) == 1
    if "content" in standin.refusals[0]:  # it names a place
        assert "refused bad.jpg" in notice
    later = await chat.send("say: two", await sync_to_async(chat.file)(PHOTO, "new.jpg"))
    assert (later.text.strip(), notices(later), len(standin.refusals)) == ("two", [], 1)


@pytest.mark.parametrize("kind", ["anthropic", "openai-compatible"], indirect=True)
async def test_a_picture_of_a_tool_is_left_out_and_the_run_goes_on(chat, standin, sandbox):
    standin.is_blind = True
    sandbox.replies["read"] = {
        "kind": "image",
        "data": base64.b64encode(PHOTO).decode(),
        "mediaType": "image/jpeg",
    }
    run = await chat.send('tool: read {"file_path": "shot.jpg"}')

    assert run.error is None
    assert "shot.jpg is left out" in run.text  # the stand-in repeats what it was told
    assert "refused shot.jpg" in notices(run)[0]


@pytest.mark.parametrize("kind", ["anthropic"], indirect=True)
async def test_an_error_about_anything_else_is_told_as_before(chat, standin):
    part = await sync_to_async(chat.file)(PHOTO, size=(800, 600))
    run = await chat.send("status 400", part)

    assert run.error["code"] == "request_refused"
    assert len(standin.messages) == 1
    assert notices(run) == []
