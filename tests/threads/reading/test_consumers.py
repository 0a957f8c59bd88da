"""The browser's socket, over the same stack that the server mounts."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from mesh import connection_checks, database_pool
from mesh.asgi import browsers
from mesh.models import User
from tests.servers import free_port
from tests.waiting import PATIENCE, auntil
from threads import selectors, services
from threads.models import Thread
from threads.reading import consumers, notifications
from threads.reading.follow import follow
from threads.serving.runtime import ring_link

pytestmark = pytest.mark.django_db(transaction=True)


def cookie_of(user):
    client = Client()
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@asynccontextmanager
async def page_of(user, *, origin="http://testserver"):
    headers = [(b"host", b"testserver"), (b"origin", origin.encode())]
    if user is not None:
        headers.append((b"cookie", (await sync_to_async(cookie_of)(user)).encode()))
    page = WebsocketCommunicator(browsers, "/ws", headers=headers)
    try:
        yield page
        await page.disconnect()
    finally:
        database_pool.close()


async def hears(page, kind):
    """Return the next frame of ``kind``, passing over others."""
    async with asyncio.timeout(60):
        while True:
            frame = json.loads(await page.receive_from(timeout=PATIENCE))
            if frame["type"] == kind:
                return frame


async def hears_any(page):
    return json.loads(await page.receive_from(timeout=PATIENCE))


async def says(page, **frame):
    await page.send_to(text_data=json.dumps(frame))


async def seqs_until(page, last):
    seqs = []
    while not seqs or seqs[-1] < last:
        seqs += [event["seq"] for event in (await hears(page, "events"))["events"]]
    return seqs


async def test_greets(ada):
    async with page_of(ada) as page:
        assert await page.connect() == (True, None)
        assert (await hears(page, "hello"))["version"] == settings.MESH_VERSION
        await says(page, type="ping")
        await hears(page, "pong")


async def test_a_page_connects_while_redis_is_away(ada, settings):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [f"redis://127.0.0.1:{free_port()}/0"]},
        }
    }

    async with page_of(ada) as page:
        assert await page.connect() == (True, None)
        await hears(page, "hello")


async def test_nobody_is_turned_away_with_a_code():
    async with page_of(None) as page:
        await page.connect()
        assert (await page.receive_output())["code"] == consumers.NOT_SIGNED_IN


async def test_another_sites_page_is_not_let_in(ada):
    async with page_of(ada, origin="https://evil.example") as page:
        accepted, _ = await page.connect()

        assert not accepted


async def test_follows_a_thread_from_a_number(ada, thread, say):
    await sync_to_async(say)("hi")
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=1)
        assert await seqs_until(page, 3) == [2, 3]

        await sync_to_async(services.rename_thread)(thread=thread, title="New")
        frame = await hears(page, "events")

    assert frame["thread"] == str(thread.pk)
    assert frame["events"] == [
        {
            "seq": 4,
            "runId": None,
            "chunk": {"type": "data-thread-title", "data": {"title": "New"}, "transient": True},
        }
    ]


async def test_a_page_from_before_old_events_were_removed_is_told_so(ada, thread):
    await sync_to_async(Thread.objects.filter(pk=thread.pk).update)(pruned_seq=5, last_seq=9)
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=4)

        error = await hears(page, "error")

    assert (error["thread"], error["code"]) == (str(thread.pk), "cursor_too_old")


async def test_a_page_is_sent_immediately_what_it_may_have_missed(ada, thread, say):
    await sync_to_async(say)("hi")
    async with page_of(ada) as page:
        await page.connect()
        assert len((await hears(page, "links"))["links"]) == 1
        await says(page, type="follow", thread=str(thread.pk), after=0)

        assert (await hears(page, "thread"))["thread"]["status"] == "queued"


async def test_follows_several_threads_at_once(ada, org, agent, thread, say):
    other = await sync_to_async(services.create_thread)(owner=ada, organization=org, agent=agent)
    await sync_to_async(say)("hi")
    await sync_to_async(say)("hi", to=other)
    async with page_of(ada) as page:
        await page.connect()
        for one in (thread, other):
            await says(page, type="follow", thread=str(one.pk), after=0)
        heard = {(await hears(page, "events"))["thread"] for _ in range(2)}

    assert heard == {str(thread.pk), str(other.pk)}


async def test_following_again_continues_from_the_new_number(ada, thread, say):
    await sync_to_async(say)("hi")
    async with page_of(ada) as page:
        await page.connect()
        for _ in range(2):
            await says(page, type="follow", thread=str(thread.pk), after=0)
            assert await seqs_until(page, 3) == [1, 2, 3]


async def test_unfollowed_threads_are_silent(ada, thread):
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=0)
        await says(page, type="unfollow", thread=str(thread.pk))
        await says(page, type="ping")
        await hears(page, "pong")
        await sync_to_async(services.rename_thread)(thread=thread, title="New")

        assert (await hears(page, "thread"))["thread"]["title"] == "New"
        await asyncio.sleep(0)
        assert notifications.of_thread(thread.pk) not in notifications._subscribers


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param({"thread": str(uuid4()), "after": 0}, "not_found", id="unknown thread"),
        pytest.param({"thread": "x", "after": 0}, "bad_frame", id="no id"),
        pytest.param({"thread": str(uuid4()), "after": -1}, "bad_frame", id="below zero"),
        pytest.param({"thread": str(uuid4()), "after": "1"}, "bad_frame", id="no number"),
        pytest.param({"thread": None}, "bad_frame", id="no thread"),
    ],
)
async def test_refuses_to_follow(ada, frame, code):
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", **frame)

        assert (await hears(page, "error"))["code"] == code


async def test_a_foreign_thread_looks_like_none(eve, thread):
    async with page_of(eve) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=0)

        assert (await hears(page, "error"))["code"] == "not_found"


async def test_no_more_threads_than_the_limit(ada, thread, org, agent, monkeypatch):
    monkeypatch.setattr(consumers, "FOLLOWED_AT_ONCE", 1)
    other = await sync_to_async(services.create_thread)(owner=ada, organization=org, agent=agent)
    async with page_of(ada) as page:
        await page.connect()
        for one in (thread, other):
            await says(page, type="follow", thread=str(one.pk), after=0)

        assert (await hears(page, "error"))["code"] == "too_many_threads"


@pytest.mark.parametrize("text", ["{", "[]", "x" * 5000, "5"])
async def test_what_is_no_frame_closes_the_socket(ada, text):
    async with page_of(ada) as page:
        await page.connect()
        await hears(page, "links")
        await page.send_to(text_data=text)

        assert (await page.receive_output())["code"] == consumers.BAD_FRAME


async def test_unknown_frames_are_passed_over(ada):
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="from the future")
        await says(page, type="ping")
        await hears(page, "pong")


async def test_a_change_of_a_thread_is_news_to_its_owner_only(ada, eve, thread, say):
    async with page_of(ada) as page, page_of(eve) as stranger:
        await page.connect()
        await stranger.connect()
        for one in (page, stranger):
            await hears(one, "links")
        await sync_to_async(say)("hi there")

        summary = (await hears(page, "thread"))["thread"]
        assert (summary["status"], summary["title"]) == ("queued", "hi there")
        assert summary["machine"]["name"] == "adas-laptop"
        # Whatever was to come to her stands before the answer to her own word.
        await says(stranger, type="ping")
        assert json.loads(await stranger.receive_from(timeout=PATIENCE))["type"] == "pong"


async def test_a_machine_is_the_same_asked_for_and_live(ada, link, thread, say):
    await sync_to_async(say)("hi")
    client = APIClient()
    client.force_authenticate(ada)
    asked = (await sync_to_async(client.get)("/api/links")).json()["links"]
    thread = await sync_to_async(selectors.find_thread)(viewer=ada, thread_id=thread.pk)
    first = (await sync_to_async(selectors.thread_summary)(thread))["machine"]
    async with page_of(ada) as page:
        await page.connect()
        live = (await hears(page, "links"))["links"]

    assert live == asked
    assert {name: live[0][name] for name in first} == first


async def test_a_machine_that_comes_or_goes_is_news(ada, link):
    async with page_of(ada) as page:
        await page.connect()
        assert (await hears(page, "links"))["links"][0]["state"] == "online"
        link.offline_after, link.cause = None, "asleep"
        await link.asave()
        await sync_to_async(ring_link)(link.pk)

        links = (await hears(page, "links"))["links"]
        assert [(one["name"], one["state"]) for one in links] == [("adas-laptop", "offline")]


@pytest.fixture
def looks_often(monkeypatch):
    monkeypatch.setattr(connection_checks, "LOOK_EVERY", 0.05)


async def test_a_person_who_leaves_the_organization_reads_no_further(ada, org, thread, looks_often):
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=0)
        await hears(page, "thread")

        await ada.memberships.filter(organization=org).adelete()

        error = await hears(page, "error")
        assert (error["code"], error["thread"]) == ("not_found", str(thread.pk))
        await auntil(
            lambda: notifications.of_thread(thread.pk) not in notifications._subscribers,
            what="let go",
        )


async def test_a_deleted_thread_is_followed_no_further(ada, thread):
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=0)
        await hears(page, "thread")

        await sync_to_async(services.delete_thread)(thread=thread)

        assert (await hears(page, "error"))["code"] == "not_found"


def change_password(ada):
    ada.set_password("another horse battery")
    ada.save()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda ada: Session.objects.all().delete(), id="signed out"),
        pytest.param(lambda ada: Session.objects.update(expire_date=timezone.now()), id="expired"),
        pytest.param(change_password, id="another password"),
        pytest.param(lambda ada: User.objects.update(is_active=False), id="shut out"),
    ],
)
async def test_a_person_who_is_no_longer_signed_in_is_refused(ada, thread, looks_often, end):
    async with page_of(ada) as page:
        await page.connect()
        await hears(page, "links")
        await sync_to_async(end)(ada)

        assert (await page.receive_output(timeout=PATIENCE))["code"] == consumers.NOT_SIGNED_IN


async def follow_to_the_end(user, thread):
    async with page_of(user) as page:
        await page.connect()
        await hears(page, "links")
        await says(page, type="follow", thread=str(thread.pk), after=0)
        await page.wait(timeout=PATIENCE)


async def test_a_socket_that_fails_leaves_nobody_listening(ada, thread, monkeypatch):
    def fail(user, thread_id):
        raise OperationalError("the database is away")

    monkeypatch.setattr(consumers, "_find", fail)
    with pytest.raises(OperationalError):
        await follow_to_the_end(ada, thread)

    await auntil(lambda: not notifications._subscribers)


async def joined_pieces(page, *, until):
    """Return the first long message, put together, and the other kinds that came in between."""
    texts, others = {}, []
    while True:
        frame = await hears_any(page)
        if frame["type"] != "piece":
            others.append(frame["type"])
            continue
        texts.setdefault(frame["of"], []).append(frame["text"])
        if frame["last"] and until in (whole := "".join(texts.pop(frame["of"]))):
            return json.loads(whole), others


async def test_a_long_message_comes_in_pieces_where_the_page_takes_them(ada, thread, say):
    text = "ä€😀" * 60_000
    await sync_to_async(say)(text)
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=0, pieces=True)

        frame, _ = await joined_pieces(page, until="data-user-message")

    chunks = [event["chunk"] for event in frame["events"]]
    (said,) = [chunk for chunk in chunks if chunk["type"] == "data-user-message"]
    assert text in json.dumps(said, ensure_ascii=False)


async def test_a_long_message_comes_whole_where_the_page_is_older(ada, thread, say):
    await sync_to_async(say)("x" * 3 * consumers.PIECE)
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=0)

        assert len(json.dumps(await hears(page, "events"))) > 3 * consumers.PIECE


async def test_a_page_that_asks_meanwhile_is_answered_between_the_pieces(
    ada, thread, say, monkeypatch
):
    await sync_to_async(say)("x" * 4 * consumers.PIECE)
    send, is_asked = consumers.BrowserConsumer.send, asyncio.Event()

    async def slow(self, text_data=None, **given):
        await send(self, text_data=text_data, **given)
        if '"piece"' in text_data:  # the line takes no more before the page has asked
            await is_asked.wait()
        elif '"pong"' in text_data:
            is_asked.set()

    monkeypatch.setattr(consumers.BrowserConsumer, "send", slow)
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=0, pieces=True)
        await says(page, type="ping")

        _, others = await joined_pieces(page, until="data-user-message")
    assert "pong" in others


async def test_a_page_that_is_closed_in_the_middle_of_a_batch_leaves_no_listener(
    ada, thread, say, monkeypatch
):
    """Not by the collector of garbage: the generator that listens is ended with its reader."""
    await sync_to_async(say)("hi")
    is_sending = asyncio.Event()
    kept = []

    def followed(*given):
        kept.append(follow(*given))  # held, so that nothing collects it
        return kept[-1]

    async def stuck(self, text):
        is_sending.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(consumers, "follow", followed)
    async with page_of(ada) as page:
        await page.connect()
        await hears(page, "links")
        monkeypatch.setattr(consumers.BrowserConsumer, "say_text", stuck)
        monkeypatch.setattr(consumers.BrowserConsumer, "say", AsyncMock())
        await says(page, type="follow", thread=str(thread.pk), after=0)
        await asyncio.wait_for(is_sending.wait(), 60)

    await auntil(lambda: not notifications._subscribers)


async def test_a_page_that_has_left_is_no_failure(ada, thread, say, monkeypatch, caplog):
    """The server says so to whoever sends, which may be before it ends the connection."""
    await sync_to_async(say)("hi")
    send = consumers.BrowserConsumer.send
    is_gone = asyncio.Event()

    async def gone(self, text_data=None, **given):
        if '"events"' in text_data:
            is_gone.set()
            raise OSError("the client is gone")
        await send(self, text_data=text_data, **given)

    monkeypatch.setattr(consumers.BrowserConsumer, "send", gone)
    async with page_of(ada) as page:
        await page.connect()
        await says(page, type="follow", thread=str(thread.pk), after=0)
        await asyncio.wait_for(is_gone.wait(), 60)

    assert "following it for a page failed" not in caplog.text
