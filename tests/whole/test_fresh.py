"""With what requirements.txt names and nothing else: what a newcomer's machine has."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.running import RunningMesh, events, say, text_of, until_finish
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python that has Mesh's own requirements only."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    program = str(folder / "bin" / "python")
    install = [*uv, "pip", "install", "-q", "--python", program, "-r", "requirements.txt"]
    subprocess.run(install, cwd=ROOT, check=True)
    return program


def test_mesh_runs(python, tmp_path):
    mesh = RunningMesh(tmp_path, python=python)  # an empty home: the very first start
    try:
        mesh.start().online()
        with mesh.client() as api:
            thread = api.post("/threads", json={}).json()["id"]
            say(api, thread, "count slowly to two", harnessId="demo")
            assert "1, 2" in text_of(until_finish(events(api, thread)))
        with httpx.Client(trust_env=False, follow_redirects=True, timeout=PATIENCE) as browser:
            assert browser.get(mesh.address).status_code == 200
            assert browser.get(f"{mesh.url}/healthz").json()["status"] == "ok"
        assert not [line for line in mesh.lines if line.startswith("Error")], mesh.lines
    finally:
        mesh.close()


def test_it_is_ready_for_a_public_server(python):
    key = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI="
    answer = subprocess.run(
        [python, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={
            "DATABASE_URL": "postgres://mesh@127.0.0.1:1/mesh",
            "MESH_SECRET_KEY": f"of the tests only: {bytes(range(33, 90)).decode()}",
            "MESH_ENCRYPTION_KEYS": key,
            "MESH_URL": "https://mesh.example",
            "MESH_PROXIES": "127.0.0.1",
        },
        capture_output=True,
        text=True,
    )

    assert answer.returncode == 0, answer.stderr
