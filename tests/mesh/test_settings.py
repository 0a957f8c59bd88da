"""What follows from the public address."""

import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

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
