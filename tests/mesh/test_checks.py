"""What ``check --deploy`` says about people."""

import pytest
from django.core.management import call_command
from django.db import InterfaceError, OperationalError

from mesh import checks


def told():
    return {message.id for message in checks.check_people(None)}


def test_a_mesh_without_an_owner_is_reported(db):
    assert told() == {checks.NO_OWNER}


def test_with_an_owner_and_sign_up_closed_there_is_nothing_to_tell(ada):
    assert told() == set()


def test_who_only_belongs_to_it_or_was_shut_out_owns_nothing(ada, bob):
    ada.is_active = False
    ada.save()

    assert told() == {checks.NO_OWNER}


def test_open_sign_up_is_reported(ada, settings):
    settings.MESH_OPEN_SIGNUP = True

    assert told() == {checks.OPEN_SIGN_UP}


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_no_failure(db, monkeypatch, error):
    def away():
        raise error("connection refused")

    monkeypatch.setattr(checks, "_has_owner", away)

    assert told() == {checks.NO_DATABASE}


@pytest.mark.django_db
def test_check_deploy_asks(capsys, monkeypatch):
    # Some browser tests of the same process need it, and nothing takes it back.
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)

    call_command("check", deploy=True)

    assert "This Mesh has no owner." in capsys.readouterr().err
