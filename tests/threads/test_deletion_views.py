"""The page of deleted chats, as forms without script."""

from datetime import timedelta

import pytest
from django.utils import timezone

from threads import services
from threads.models import Thread

pytestmark = pytest.mark.django_db

PATH = "/home/settings/deleted"


@pytest.fixture
def deleted(thread):
    services.rename_thread(thread=thread, title="Plans <b>")
    services.delete_thread(thread=thread)
    return thread


def sign_in(client, user):
    client.force_login(user)
    return client


def restore(client, thread, **options):
    return client.post(f"{PATH}/{thread.pk}/restore", **options)


def test_a_deleted_chat_is_listed_and_restored(client, deleted, ada):
    html = sign_in(client, ada).get(PATH).content.decode()
    assert "Plans &lt;b&gt;" in html
    assert "for 7 days" in html

    answer = restore(client, deleted)

    assert answer.url == f"/home/threads/{deleted.pk}"
    assert client.get(answer.url).status_code == 200
    assert "No chat was deleted recently" in client.get(PATH).content.decode()


def test_where_nothing_is_kept_the_page_says_so(client, ada, settings):
    settings.MESH_KEEP_DELETED_DAYS = 0

    assert "for good immediately" in sign_in(client, ada).get(PATH).content.decode()


def test_it_says_when_it_is_too_late(client, deleted, ada):
    Thread.objects.update(deleted_at=timezone.now() - timedelta(days=8))

    answer = restore(sign_in(client, ada), deleted, follow=True)

    assert "too long ago" in answer.content.decode()


def test_a_colleague_sees_and_restores_none_of_it(client, deleted, bob):
    sign_in(client, bob)

    assert "Plans" not in client.get(PATH).content.decode()
    assert restore(client, deleted).status_code == 404
    deleted.refresh_from_db()
    assert deleted.deleted_at is not None


def test_a_stranger_has_no_such_page(client, deleted, eve):
    sign_in(client, eve)

    assert client.get(PATH).status_code == restore(client, deleted).status_code == 404


def test_who_is_not_signed_in_is_sent_to_the_sign_in(client, deleted):
    assert client.get(PATH).status_code == restore(client, deleted).status_code == 302


def test_to_look_restores_nothing(client, deleted, ada):
    assert sign_in(client, ada).get(f"{PATH}/{deleted.pk}/restore").status_code == 405
