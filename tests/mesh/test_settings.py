"""What follows from the public address."""

import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

pytestmark = pytest.mark.programs

SHOW = (
    "import django; django.setup(); from django.conf import settings as s;"
    "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE)"
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://mesh.example", "__Host-mesh_session __Host-mesh_csrf True"),
        ("http://mesh.example", "mesh_session mesh_csrf False"),
    ],
)
def test_no_host_below_ours_can_set_our_cookies_where_there_is_tls(url, shown, tmp_path):
    env = os.environ | {
        "MESH_HOME": str(tmp_path),
        "DATABASE_URL": "postgres://nobody@localhost/none",
        "MESH_SECRET_KEY": "of the test",
        "MESH_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "MESH_URL": url,
    }
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=env, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == shown


SAY = """
import django; django.setup()
from django.http import HttpResponse
from django.middleware.security import SecurityMiddleware
from django.test import RequestFactory
answer = SecurityMiddleware(lambda request: HttpResponse())(RequestFactory().get("/", secure=True))
print(answer.headers.get("Strict-Transport-Security"))
"""
YEAR = "max-age=31536000"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param({}, YEAR, id="unasked"),
        pytest.param({"MESH_HSTS": "off"}, "None", id="off"),
        pytest.param({"MESH_HSTS": "subdomains"}, f"{YEAR}; includeSubDomains", id="subdomains"),
        pytest.param({"MESH_HSTS": "preload"}, f"{YEAR}; includeSubDomains; preload", id="preload"),
        pytest.param({"MESH_URL": "http://mesh.example"}, "None", id="no TLS"),
    ],
)
def test_no_other_host_is_bound_to_https_unasked(asked, said, tmp_path):
    env = os.environ | {"MESH_HOME": str(tmp_path), "MESH_URL": "https://mesh.example"} | asked
    done = subprocess.run(
        [sys.executable, "-c", SAY], env=env, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == said


NAMES = """
import os, sys, django
from django.conf import settings
from django.utils.module_loading import import_string

OURS = ("mesh.", "links.", "agents.", "sandboxes.", "threads.")

def named(value):
    if isinstance(value, str):
        yield from [value] if value.startswith(OURS) else []
    elif isinstance(value, dict):
        yield from (name for inner in value.values() for name in named(inner))
    elif isinstance(value, (list, tuple)):
        yield from (name for inner in value for name in named(inner))

django.setup()
NO_IMPORTS = ("INSTALLED_APPS", "AUTH_USER_MODEL")
names = {
    name for key in dir(settings) if key.isupper() and key not in NO_IMPORTS
    for name in named(getattr(settings, key)) if "/" not in name
}
for name in sorted(names):
    if os.fork() == 0:
        try:
            __import__(name) if name == settings.ROOT_URLCONF else import_string(name)
        except BaseException as exc:
            print(name, repr(exc), flush=True)
        os._exit(0)
    os.wait()
print(len(names), "names")
"""


def test_whatever_the_settings_name_can_be_the_first_thing_imported(tmp_path):
    # Django runs its checks in the order of addresses in memory, so a ring of imports that one
    # order hides stops the start now and then.
    done = subprocess.run(
        [sys.executable, "-c", NAMES],
        env=os.environ | {"MESH_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "mesh.settings"},
        capture_output=True,
        text=True,
        check=True,
    )

    *broken, count = done.stdout.splitlines()
    assert broken == []
    assert int(count.split()[0]) > 10
