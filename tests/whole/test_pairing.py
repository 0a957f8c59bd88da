"""A new laptop from nothing to online, as its person does it, in real processes."""

import json
import os
import re
import stat
import subprocess
import sys
import threading

import httpx
import pytest

from tests.running import ROOT, RunningMesh
from tests.waiting import PATIENCE, until

TOKEN_SECONDS = "2"  # so that every reconnection finds its token expired


class Laptop:
    """A real ``deco_link`` with a home of its own; ended with the test."""

    def __init__(self, home, server):
        self.home, self.server = home, server
        self.process, self.lines = None, []

    def environ(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "DJANGO_"))}
        return kept | {"MESH_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}

    def start(self):
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "deco_link", self.server, "--name", "new laptop"],
            cwd=ROOT,
            env=self.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        return self

    def _read(self, process):
        for line in process.stdout:
            self.lines.append(line.rstrip())

    @property
    def said(self):
        return "\n".join(self.lines)

    def code(self):
        """The code that it shows."""
        found = until(lambda: re.search(r"enter the code   (\S+)", self.said))
        return found[1]

    def tokens(self):
        (path,) = (self.home / "link" / "tokens").glob("*.json")
        return path, json.loads(path.read_text())

    def logout(self):
        argv = [sys.executable, "manage.py", "deco_link", "logout"]
        return subprocess.run(
            argv, cwd=ROOT, env=self.environ(), capture_output=True, text=True, check=False
        )

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)


class Person:
    """The owner's browser."""

    def __init__(self, mesh):
        self.http = httpx.Client(
            base_url=mesh.url, follow_redirects=True, trust_env=False, timeout=PATIENCE
        )
        assert self.http.get(mesh.address).status_code == 200

    def answers(self, code, action):
        page = "/identity/o/device"
        shown = self.http.get(page, params={"code": code}).text
        csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', shown)[1]
        form = {"csrfmiddlewaretoken": csrf, "code": code, "action": action}
        self.http.post(page, data=form).raise_for_status()
        return shown

    def sees(self, name):
        """The state and cause of that machine."""
        links = self.http.get("/api/links").json()["links"]
        return next(((one["state"], one["cause"]) for one in links if one["name"] == name), None)


@pytest.fixture
def mesh(tmp_path):
    running = RunningMesh(tmp_path / "home", MESH_TOKEN_SECONDS=TOKEN_SECONDS)
    try:
        yield running.start()
    finally:
        running.close()


@pytest.fixture
def person(mesh):
    return Person(mesh)


@pytest.fixture
def laptop(tmp_path, mesh):
    laptop = Laptop(tmp_path / "laptop", mesh.url)
    try:
        yield laptop
    finally:
        laptop.end()


@pytest.fixture
def paired(laptop, person):
    laptop.start()
    person.answers(laptop.code(), "approve")
    until(lambda: person.sees("new laptop") == ("online", ""))
    return laptop


def test_a_new_laptop_shows_a_code_and_comes_online_when_it_is_approved(laptop, person, mesh):
    laptop.start()
    code = laptop.code()
    assert f"{mesh.url}/identity/o/device" in laptop.said
    assert person.sees("new laptop") is None

    page = person.answers(code, "approve")

    assert "new laptop" in page
    until(lambda: person.sees("new laptop") == ("online", ""))


def test_a_code_outlives_a_restart_of_the_server(laptop, person, mesh):
    laptop.start()
    code = laptop.code()
    mesh.interrupt()
    mesh.start()

    person.http.get(mesh.address)
    person.answers(code, "approve")

    until(lambda: person.sees("new laptop") == ("online", ""))


def test_its_tokens_are_its_owners_to_read_and_in_no_log(paired, mesh):
    path, tokens = paired.tokens()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    logs = paired.said + "\n".join(mesh.lines)
    for file in [*paired.home.glob("link/log*"), *mesh.home.glob("log/*")]:
        logs += file.read_text()
    assert tokens["access"] not in logs
    assert tokens["refresh"] not in logs


def test_it_comes_back_after_a_restart_with_a_new_token(paired, person, mesh):
    before = paired.tokens()[1]
    mesh.interrupt()

    mesh.start()

    person.http.get(mesh.address)
    until(lambda: person.sees("new laptop") == ("online", ""))
    until(lambda: paired.tokens()[1]["access"] != before["access"])
    assert paired.process.poll() is None


def test_it_starts_again_without_asking(paired, person):
    paired.end()
    until(lambda: person.sees("new laptop")[0] == "offline")

    paired.start()

    until(lambda: person.sees("new laptop") == ("online", ""))
    assert "enter the code" not in paired.said


def test_signed_out_it_loses_its_socket_and_says_how_to_come_back(paired, person, mesh):
    answer = paired.logout()

    assert (answer.returncode, answer.stdout) == (0, f"Signed out of {mesh.url}.\n")
    assert paired.process.wait(PATIENCE) == 3
    until(lambda: f"deco_link {mesh.url}" in paired.said, what=paired.said)
    until(lambda: person.sees("new laptop") == ("offline", "signed_out"))
    assert list((paired.home / "link" / "tokens").glob("*.json")) == []


def test_revoked_at_the_server_it_stops_too(paired, person, mesh):
    sign_out = (
        "from mesh.pairing.services import end; from mesh.models import Pairing;"
        "end(Pairing.objects.all())"
    )
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", sign_out],
        cwd=ROOT,
        env=os.environ | {"MESH_HOME": str(mesh.home)},
        capture_output=True,
        check=True,
    )

    assert paired.process.wait(PATIENCE) == 3
    until(lambda: "signed out of" in paired.said)
    until(lambda: person.sees("new laptop") == ("offline", "signed_out"))


def test_denied_it_says_so_and_ends(laptop, person):
    laptop.start()

    person.answers(laptop.code(), "deny")

    assert laptop.process.wait(PATIENCE) == 3
    until(lambda: "denied in the browser" in laptop.said)
