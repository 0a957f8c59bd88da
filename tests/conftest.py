"""The people of the tests: Ada owns, Bob is let in, Eve is a stranger."""

from __future__ import annotations

import gc
from uuid import uuid4

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.examples import QUICK

# No test asserts how long something takes: a busy machine is no defect.
hypothesis_settings.register_profile(
    "mesh", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.register_profile(
    "quick", hypothesis_settings.get_profile("mesh"), max_examples=QUICK
)
hypothesis_settings.load_profile("mesh")

pytest_plugins = [
    "tests.chromium",
    "tests.nothing_left_out",
    "tests.second_factor",
    "tests.secrecy",
    "tests.tables",
    "tests.templates",
]


# Who uses one of these starts a program of Mesh's for the laptop.
STARTING = {"make_sandbox", "shared_sandbox", "supervise"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that start a program by a fixture, so that none passes for a quick one."""
    for item in items:
        if not STARTING.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.programs)


def pytest_collection():
    """Hold the garbage collector back while everything is loaded, all of which stays."""
    gc.disable()


def pytest_collection_finish():
    """Have it walk what the tests make, and not all the modules and tests again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def plain_files_quick_passwords_and_loopback(django_test_environment):
    """Pages name their files without a manifest, which only collectstatic makes, and nobody serves
    these files: that part of the middleware is asynchronous, so that each request of a synchronous
    test client would take an event loop of its own.

    A test's own server is on loopback, whatever the public address is. A second factor is asked
    of staff in the tests of that alone.
    """
    from django.conf import settings
    from django.test import override_settings

    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    with override_settings(
        MESH_ADMIN_SECOND_FACTOR=False,
        ALLOWED_HOSTS=["testserver", "localhost", "127.0.0.1", "[::1]"],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        STORAGES={**settings.STORAGES, "staticfiles": {"BACKEND": plain}},
        MIDDLEWARE=[each for each in settings.MIDDLEWARE if not each.startswith("servestatic.")],
    ):
        yield


@pytest.fixture(scope="session")
def django_db_setup(migrated_once, django_db_setup):
    """The test's database, whose connections of other threads are closed before it is dropped:
    PostgreSQL drops none that somebody is connected to. These threads outlive their tests."""
    yield
    from asgiref.sync import SyncToAsync
    from django.db import connections

    from mesh import database_pool

    database_pool.close()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture
def nap():
    """A shell command that waits, and that no other test on this machine runs."""
    return f"sleep 1{uuid4().int % 10**8:08}"


def _person(name, org, role):
    from mesh.models import Membership, User

    user = User.objects.create_user(name, f"{name}@mesh.example", "correct horse battery")
    Membership.objects.create(organization=org, user=user, role=role)
    return user


@pytest.fixture
def org(db):
    from mesh.models import Organization

    return Organization.objects.create(slug="home", name="Home")


@pytest.fixture
def ada(org):
    return _person("ada", org, "owner")


@pytest.fixture
def bob(org):
    return _person("bob", org, "member")


@pytest.fixture
def eve(db):
    from mesh.models import Organization

    return _person("eve", Organization.objects.create(slug="other", name="Other"), "owner")


@pytest.fixture
def agent(org):
    from agents.models import Agent

    return Agent.objects.create(organization=org, slug="default", title="Mesh")


@pytest.fixture
def breakable(tmp_path):
    """A running Mesh of the test's own, to be killed at will."""
    from tests.running import RunningMesh

    running = RunningMesh(tmp_path / "home")
    try:
        running.start().online()
        yield running
    finally:
        running.close()
