"""Attached files: from the upload, through the message, to the agent and to whoever may read."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from tests.pictures import declaring, half, picture
from threads import services
from threads.core.attachments import IMAGE_LIMIT, MOST, TEXT_LIMIT
from threads.models import Attachment, Message, Run
from threads.services.attachments import KEEP_UNSENT, MOST_UNSENT
from threads.serving.attachments import read_file, with_files, with_references
from threads.serving.turn_input import harness_input

PIXEL = picture("PNG", (1, 1))
PNG = b"\x89PNG\r\n\x1a\n"
PHOTO = picture("JPEG", (800, 600))


def client_of(user):
    client = APIClient()
    if user is not None:
        client.force_authenticate(user)
    return client


def upload(user, data=PIXEL, name="a.png", kind="application/octet-stream"):
    address = f"{reverse('files', args=['home'])}?{urlencode({'name': name})}"
    return client_of(user).generic("POST", address, data, content_type=kind)


def data_url(data, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.fixture
def send(thread, ada, link):
    """Return ``send(*files)``: what Ada's message with these parts is answered."""

    def post(*files, to="claude-code", id="", words="look"):
        said = [{"type": "text", "text": words}] if words else []
        body = {
            "messages": [{"id": id or str(uuid4()), "role": "user", "parts": [*said, *files]}],
            "harnessId": to,
        }
        return client_of(ada).post(reverse("messages", args=["home", thread.pk]), body)

    return post


def code(answer):
    return answer.json()["error"]["code"]


# Keeping a file


def test_a_picture_is_kept_and_named_as_a_part(ada, org):
    answer = upload(ada, name="../shots/a.png", kind="text/html")

    kept = Attachment.objects.get()
    assert answer.status_code == 201
    assert answer.json()["part"] == {
        "type": "file",
        "mediaType": "image/png",
        "filename": "a.png",
        "url": f"/api/home/decopilot/files/{kept.pk}",
    }
    assert (bytes(kept.data), kept.size, kept.thread) == (PIXEL, len(PIXEL), None)


@pytest.mark.parametrize(
    ("data", "status", "expected"),
    [
        pytest.param(b"", 400, "file_empty", id="empty"),
        pytest.param(b"%PDF-1.7\n\xe2\xe3", 415, "file_unsupported", id="no picture, no text"),
        pytest.param(PNG + bytes(IMAGE_LIMIT), 413, "file_too_large", id="a huge picture"),
        pytest.param(b"a" * (TEXT_LIMIT + 1), 413, "file_too_large", id="a long text"),
        pytest.param(PIXEL[:28], 422, "picture_damaged", id="28 bytes of a picture"),
        pytest.param(half(PHOTO), 422, "picture_damaged", id="half a photo"),
        pytest.param(declaring(60_000, 60_000), 413, "picture_too_large", id="too many pixels"),
    ],
)
def test_a_file_is_refused_with_what_to_do(ada, org, data, status, expected):
    answer = upload(ada, data)

    assert (answer.status_code, code(answer)) == (status, expected)
    assert answer.json()["error"]["hint"]
    assert not Attachment.objects.exists()


def test_a_picture_is_scaled_to_what_models_take_and_that_is_said(ada, org):
    answer = upload(ada, picture("HEIF", (3000, 2000)), name="IMG_1.HEIC").json()

    kept = Attachment.objects.get()
    note = "Converted from HEIC to JPEG; scaled down from 3000 × 2000 to 2000 × 1333 pixels"
    assert answer["note"] == note
    assert answer["part"]["providerMetadata"] == {"mesh": {"note": note}}
    assert (answer["part"]["filename"], answer["part"]["mediaType"]) == ("IMG_1.jpg", "image/jpeg")
    assert (kept.width, kept.height, kept.size) == (2000, 1333, answer["size"])
    assert client_of(ada).get(answer["part"]["url"]).content == bytes(kept.data)


def test_a_picture_in_a_message_is_scaled_too_and_the_message_says_so(ada, send):
    given = {"type": "file", "filename": "a.png", "url": data_url(picture("PNG", (300, 8570)))}

    assert send(given).status_code == 202

    (_, part) = Message.objects.get().parts
    note = "Scaled down from 300 × 8570 to 70 × 2000 pixels"
    assert part["providerMetadata"] == {"mesh": {"note": note}}
    assert Attachment.objects.get().height == 2000


@pytest.mark.parametrize(
    ("who", "status"),
    [pytest.param(None, 401, id="nobody"), pytest.param("eve", 404, id="a stranger")],
)
def test_a_stranger_uploads_nothing(request, org, who, status):
    assert upload(request.getfixturevalue(who) if who else None).status_code == status


def test_so_many_files_that_nobody_sends_are_enough(ada, org):
    for _ in range(MOST_UNSENT):
        assert upload(ada).status_code == 201

    assert (upload(ada).status_code, code(upload(ada))) == (429, "too_many_unsent")


def test_what_was_not_sent_is_removed_by_its_owner_or_after_a_day(ada, bob, org):
    first, second = upload(ada).json(), upload(ada).json()

    for user in (bob, ada, ada):
        assert client_of(user).delete(first["part"]["url"]).status_code in (204, 404)
    assert services.prune_unsent(now=timezone.now()) == 0
    assert services.prune_unsent(now=timezone.now() + KEEP_UNSENT + timedelta(seconds=1)) == 1
    assert client_of(ada).get(second["part"]["url"]).status_code == 404


# With a message


def test_a_sent_file_belongs_to_its_thread_and_is_kept(ada, org, thread, send):
    part = upload(ada).json()["part"]

    assert send(part).status_code == 202

    kept = Attachment.objects.get()
    assert kept.thread == thread
    assert Message.objects.get().parts[1] == part
    services.prune_unsent(now=timezone.now() + 2 * KEEP_UNSENT)
    client_of(ada).delete(part["url"])
    assert Attachment.objects.filter(pk=kept.pk).exists()


def test_a_whole_file_in_the_body_is_kept_in_its_row_and_not_in_the_message(ada, thread, send):
    """As the AI SDK's own clients send files: chat-ui.md §9."""
    given = {"type": "file", "mediaType": "text/html", "filename": "a.png", "url": data_url(PIXEL)}

    assert send(given).status_code == 202

    kept = Attachment.objects.get()
    (_, part) = Message.objects.get().parts
    assert part == services.part_of(kept)
    assert "base64" not in "".join(thread.events.values_list("chunk", flat=True))


def test_the_same_message_again_keeps_nothing_twice(ada, send):
    given = {"type": "file", "mediaType": "image/png", "url": data_url(PIXEL)}

    first, again = (send(given, id="m-1").json() for _ in range(2))

    assert first == again
    assert Attachment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_turn_names_its_files_and_does_not_contain_them(ada, thread, send):
    part = upload(ada).json()["part"]
    send(part)

    (message,) = harness_input(Run.objects.get())["messages"]

    kept = Attachment.objects.get()
    place = {"thread": str(thread.pk), "id": str(kept.pk), "size": len(PIXEL)}
    assert message["parts"][1] == {**part, "id": str(kept.pk), "attachment": place}
    assert async_to_sync(read_file)(place) == PIXEL


@pytest.mark.django_db(transaction=True)
def test_a_file_of_another_thread_is_not_read(ada, thread, send):
    send(upload(ada).json()["part"])
    kept = Attachment.objects.get()

    assert async_to_sync(read_file)({"thread": str(uuid4()), "id": str(kept.pk)}) is None


def test_what_a_client_writes_under_our_keys_names_no_file(thread):
    forged = {"type": "file", "url": "/etc/passwd", "digest": "0" * 64, "attachment": {"id": "x"}}

    (message,) = with_references([{"role": "user", "parts": [forged]}], thread_id=thread.pk)

    assert message["parts"] == [{"type": "file", "url": "/etc/passwd"}]


@pytest.mark.parametrize("change", [with_files, with_references])
def test_messages_without_files_cost_no_query(thread, django_assert_num_queries, change):
    said = [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]

    with django_assert_num_queries(0):
        assert change(said, thread_id=thread.pk) == said


def test_of_a_long_conversation_the_newest_files_are_remembered(ada, thread, send):
    for _ in range(3):
        send(upload(ada).json()["part"])
    said = [{"parts": m.parts} for m in Message.objects.order_by("seq")]

    sent = with_files(said, thread_id=thread.pk, room=2 * len(PIXEL))

    urls = [message["parts"][1]["url"] for message in sent]

    assert [url.startswith("data:") for url in urls] == [False, True, True]


def test_a_message_may_be_a_picture_alone(ada, thread, send):
    assert send(upload(ada, name="login.png").json()["part"], words="").status_code == 202

    thread.refresh_from_db()
    assert thread.title == "login.png"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://evil.example/a.png", "unknown_file", id="elsewhere"),
        pytest.param(f"/api/home/decopilot/files/{uuid4()}", "unknown_file", id="not there"),
        pytest.param("data:image/png;base64,AA=A", "unknown_file", id="no base64"),
        pytest.param("data:application/pdf;base64,JVBERuI=", "file_unsupported", id="sort"),
        pytest.param("data:,", "file_empty", id="empty"),
        pytest.param(data_url(PIXEL[:28]), "picture_damaged", id="damaged"),
    ],
)
def test_a_message_with_a_bad_file_is_refused_whole(send, url, expected):
    assert code(send({"type": "file", "mediaType": "image/png", "url": url})) == expected
    assert not Message.objects.exists()


def test_nobody_sends_the_files_of_others_or_of_other_threads(ada, bob, org, agent, send):
    other = services.create_thread(owner=ada, organization=org, agent=agent)
    foreign, elsewhere = upload(ada).json(), upload(ada).json()
    Attachment.objects.filter(pk=foreign["id"]).update(owner=bob)
    Attachment.objects.filter(pk=elsewhere["id"]).update(thread=other)

    for given in (foreign, elsewhere):
        assert code(send(given["part"])) == "unknown_file"


def test_eleven_files_are_too_many(ada, send):
    parts = [upload(ada).json()["part"] for _ in range(MOST + 1)]

    assert code(send(*parts)) == "too_many_files"


def test_all_files_together_have_a_limit(ada, send, monkeypatch):
    monkeypatch.setattr("threads.services.attachments.ALL_LIMIT", 2 * len(PIXEL))

    assert code(send(*(upload(ada).json()["part"] for _ in range(3)))) == "too_many_files"


def test_an_agent_that_takes_none_is_sent_none(ada, send):
    answer = send(upload(ada).json()["part"], to="demo")

    assert (answer.status_code, code(answer)) == (409, "files_not_taken")
    assert "a.png" in answer.json()["error"]["message"]


def test_the_words_of_a_waiting_message_change_and_its_files_stay(ada, thread, send):
    part = upload(ada).json()["part"]
    send()
    send(part)
    run = Run.objects.order_by("position").last()
    url = reverse("queued", args=["home", thread.pk, run.pk])

    said = {"type": "text", "text": "other words"}
    answer = client_of(ada).patch(url, {"parts": [said, part]})

    assert answer.json()["parts"] == [said, part]
    bad = {"type": "file", "url": "https://evil.example/a.png"}
    assert code(client_of(ada).patch(url, {"parts": [bad]})) == "unknown_file"


# Reading a file


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(PIXEL, "image/png", id="a picture"),
        pytest.param(b"<script>alert(1)</script>", "text/plain; charset=utf-8", id="a page"),
    ],
)
def test_a_file_is_served_as_data_and_never_as_a_page(ada, org, data, kind):
    url = upload(ada, data, name='x".html', kind="text/html").json()["part"]["url"]

    answer = client_of(ada).get(url, HTTP_ACCEPT="image/png")

    assert (answer.content, answer.headers["Content-Type"]) == (data, kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Disposition"].startswith("inline; filename=")
    assert "private" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("is_sent", [False, True])
def test_others_are_not_shown_it(ada, bob, eve, send, is_sent):
    part = upload(ada).json()["part"]
    if is_sent:
        send(part)

    assert client_of(ada).get(part["url"]).status_code == 200
    assert {client_of(user).get(part["url"]).status_code for user in (bob, eve)} == {404}
    assert client_of(None).get(part["url"]).status_code == 401


def test_a_deleted_thread_takes_its_files_along(ada, thread, send):
    part = upload(ada).json()["part"]
    send(part)

    services.delete_thread(thread=thread)

    assert client_of(ada).get(part["url"]).status_code == 404
