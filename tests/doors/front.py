"""A whole running Mesh as an outsider meets it: embedded, or two servers behind a real proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.faults.laptop import end_link
from tests.rude import RudeClient
from tests.running import ROOT, RunningMesh, say
from tests.servers import Cluster, Proxy
from tests.waiting import PATIENCE, until

# Makes a person of an organization of their own, or returns the one there is.
PERSON = """
from mesh.models import Membership, Organization, User
user, _ = User.objects.get_or_create(username={name!r})
if not Membership.objects.filter(user=user).exists():
    org, _ = Organization.objects.get_or_create(slug={org!r}, defaults={{"name": {org!r}}})
    Membership.objects.create(organization=org, user=user, role={role!r})
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account: a bearer token, and the ``Cookie`` header of a session."""

    name: str
    org: str
    token: str
    cookie: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Front(ABC):
    """One running Mesh. ``ada`` owns the organization "home" and the laptop that is online."""

    url: str  # the public address
    laptop_home: Path  # MESH_HOME of the laptop's link, with the sandboxes in it
    people: dict[str, Person]

    @abstractmethod
    def rude(self, *, timeout: float = 20, source: str = "") -> RudeClient:
        """Return a client that sends exactly what it is given, from the loopback ``source``."""

    @abstractmethod
    def manage(self, *words: str) -> str:
        """Run ``manage.py`` in the server's environment; return what it printed."""

    @abstractmethod
    def log(self) -> str:
        """Return all that the server processes have written so far."""

    @property
    @abstractmethod
    def client_url(self) -> str:
        """The address that a program which resolves names can use; leads to the same servers."""

    @property
    @abstractmethod
    def owner_name(self) -> str: ...

    @cached_property
    def ada(self) -> Person:
        return self._person(self.owner_name, "home", "owner")

    def person(self, name: str, *, org: str, role: str = "member") -> Person:
        """Return an account of that name, in that organization; made at the first call."""
        if name not in self.people:
            self.people[name] = self._person(name, org, role)
        return self.people[name]

    @property
    def bob(self) -> Person:
        """A colleague of Ada's."""
        return self.person("bob", org="home")

    @property
    def eve(self) -> Person:
        """The owner of another organization."""
        return self.person("eve", org="other", role="owner")

    def shell(self, code: str) -> Any:
        """Run Python beside the server's database; return the JSON that it printed last.

        ``answer(value)`` prints it.
        """
        helper = "import json\ndef answer(value): print('answer:', json.dumps(value))\n"
        return json.loads(self.manage("shell", "-c", helper + code).rpartition("answer: ")[2])

    def _person(self, name: str, org: str, role: str) -> Person:
        made = self.shell(
            PERSON.format(name=name, org=org, role=role)
            + "from django.conf import settings; from django.test import Client\n"
            "from mesh.services import make_token\n"
            "client = Client(); client.force_login(user,"
            " backend='django.contrib.auth.backends.ModelBackend')\n"
            "cookie = settings.SESSION_COOKIE_NAME\n"
            "answer([make_token(user=user), cookie, client.cookies[cookie].value])"
        )
        token, cookie, value = made
        return Person(name, org, token, f"{cookie}={value}")

    def client(self, person: Person | None = None) -> httpx.Client:
        """Return a well-behaved client of the API below ``/api/<org>/decopilot``."""
        who = person or self.ada
        return httpx.Client(
            base_url=f"{self.client_url}/api/{who.org}/decopilot",
            headers=who.bearer,
            timeout=PATIENCE,
            trust_env=False,
        )

    def links(self, person: Person | None = None) -> list[dict[str, Any]]:
        """Return the machines that the person has linked."""
        headers = (person or self.ada).bearer
        answer = httpx.get(
            f"{self.client_url}/api/links", headers=headers, trust_env=False, timeout=PATIENCE
        )
        return list(answer.json()["links"])

    @cached_property
    def thread(self) -> str:
        """The id of a thread of Ada's that has said something on the laptop: it has a sandbox."""
        return self.new_thread()

    def new_thread(self, text: str = "hello") -> str:
        """Begin a thread with the demo agent on the laptop; return its id once it has answered."""
        with self.client() as api:
            thread = str(api.post("/threads", json={}).json()["id"])
            answer = say(api, thread, text, harnessId="demo")
            assert answer.status_code == 202, answer.text
            until(
                lambda: api.get(f"/threads/{thread}").json()["status"] == "completed",
                within=60,
                what="the demo agent's answer",
            )
        return thread

    def online(self) -> str:
        """Wait until a laptop of Ada's is online; return its link's id."""

        def find() -> str:
            return next((one["id"] for one in self.links() if one["state"] == "online"), "")

        return str(until(find, what="the laptop online"))


@dataclass
class Embedded(Front):
    """``make run``: one process, SQLite, a link of its own."""

    mesh: RunningMesh
    people: dict[str, Person] = field(default_factory=dict)
    kind: str = "embedded"

    @property
    def url(self) -> str:  # type: ignore[override]
        return f"http://localhost:{self.mesh.port}"

    @property
    def client_url(self) -> str:
        return self.mesh.url

    @property
    def laptop_home(self) -> Path:  # type: ignore[override]
        return self.mesh.home

    @property
    def owner_name(self) -> str:
        import getpass

        return getpass.getuser()

    def rude(self, *, timeout: float = 20, source: str = "") -> RudeClient:
        return RudeClient(self.url, timeout=timeout, source=source)

    def manage(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            # Without what this process's own settings need, such as Django's in browser tests.
            env={k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "DJANGO_"))}
            | {"MESH_HOME": str(self.mesh.home)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def log(self) -> str:
        return "\n".join(self.mesh.lines)


@dataclass
class Proxied(Front):
    """Two servers on PostgreSQL and Redis behind a real proxy, and a laptop."""

    cluster: Cluster
    proxy: Proxy
    laptop_home: Path
    people: dict[str, Person] = field(default_factory=dict)
    kind: str = "proxied"

    @property
    def url(self) -> str:  # type: ignore[override]
        return self.proxy.url

    @property
    def client_url(self) -> str:
        return self.proxy.plain_url

    @property
    def owner_name(self) -> str:
        return "ada"

    def rude(self, *, timeout: float = 20, source: str = "") -> RudeClient:
        port = self.proxy.port
        return RudeClient(self.url, connect_to=port, timeout=timeout, source=source)

    def manage(self, *words: str) -> str:
        return self.cluster.manage(*words)

    def log(self) -> str:
        assert self.cluster.log is not None
        return self.cluster.log.read_text()


class LinkedLaptop:
    """The real ``deco_link`` as a person starts it; ends it and its sandboxes in ``close``."""

    def __init__(self, home: Path, *, server: str, token: str) -> None:
        self.home = home
        home.mkdir(parents=True)
        (home / "token").write_text(token)
        self._log = (home / "output").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "deco_link", server, "--token-file", home / "token"],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "DJANGO_"))}
            | {"MESH_HOME": str(home)},
            stdout=self._log,
            stderr=self._log,
        )

    def close(self) -> None:
        end_link(self.process, self.home)
        self._log.close()
