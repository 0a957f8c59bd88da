"""Who is known before a body is read."""

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client

from mesh import database_pool
from mesh.early_authentication import is_signed_in
from mesh.models import User
from mesh.services import make_token

pytestmark = pytest.mark.django_db(transaction=True)


def scope(name, value):
    return {"headers": [(name.encode(), value.encode())]}


def by_cookie(user):
    browser = Client()
    browser.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return scope("cookie", f"a=b; {name}={browser.cookies[name].value}")


def by_token(user):
    return scope("authorization", f"Bearer {make_token(user=user)}")


@pytest.mark.parametrize("made", [by_cookie, by_token])
async def test_a_good_sign_in_is_known(ada, made):
    assert await is_signed_in(await sync_to_async(made)(ada))


@pytest.mark.parametrize("made", [by_cookie, by_token])
async def test_of_someone_shut_out_it_is_not(ada, made):
    shown = await sync_to_async(made)(ada)
    await User.objects.aupdate(is_active=False)

    assert not await is_signed_in(shown)


async def test_a_session_that_ended_is_not(ada):
    shown = await sync_to_async(by_cookie)(ada)
    await Session.objects.all().adelete()

    assert not await is_signed_in(shown)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("x-nothing", "", id="nothing"),
        pytest.param("authorization", "Bearer mesh_wrong", id="a wrong token"),
        pytest.param("authorization", "Basic abc", id="another scheme"),
        pytest.param("cookie", "mesh_session=wrong; mesh_session=", id="no session"),
        pytest.param("cookie", "\x00;;=;é", id="no cookies"),
    ],
)
async def test_strangers_are_not(name, value):
    assert not await is_signed_in(scope(name, value))


async def test_where_the_store_is_down_nobody_is(ada, monkeypatch):
    from django.db import OperationalError

    async def down(*_):
        raise OperationalError

    shown = await sync_to_async(by_token)(ada)
    monkeypatch.setattr(database_pool.rights, "run", down)

    assert not await is_signed_in(shown)
