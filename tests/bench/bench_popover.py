"""How long does the server need for the popover?  python -m tests.bench.bench_popover

Five machines, twenty agents, a thread; the whole request through Django's middleware, without a
network; on a busy machine only the CPU time means something. Promised: 15 ms.
"""

from __future__ import annotations

import os
import tempfile
import time

os.environ["DJANGO_SETTINGS_MODULE"] = "mesh.settings"
os.environ["MESH_HOME"] = tempfile.mkdtemp(prefix="mesh-bench-")

import django

django.setup()

from datetime import timedelta

from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from links.models import Link
from mesh.models import Organization
from mesh.services import make_home

ROUNDS = 300


def furnish():
    """Make a person with five machines and twenty agents, and return their browser."""
    call_command("migrate", verbosity=0)
    ada = make_home(username="ada")
    org = Organization.objects.get(slug="home")
    for number in range(20):
        slug = "default" if number == 0 else f"a{number}"
        Agent.objects.create(organization=org, slug=slug, title=f"Agent {number}")
    now = timezone.now()
    for number in range(5):
        Link.objects.create(
            user=ada,
            machine_id=f"m{number}",
            hostname=f"machine-{number}",
            cli_version="1",
            protocol_version=1,
            capabilities=["decopilot-sandbox", "claude-code", "codex"],
            offline_after=now + timedelta(hours=1),
            seen_at=now,
        )
    client = Client(SERVER_NAME="localhost")
    client.force_login(ada)
    return client


def measure(client, path):
    for _ in range(20):
        assert client.get(path).status_code == 200
    for name, clock in (("wall", time.perf_counter), ("cpu", time.process_time)):
        took = []
        for _ in range(ROUNDS):
            start = clock()
            client.get(path)
            took.append((clock() - start) * 1000)
        took.sort()
        p50, p99 = took[ROUNDS // 2], took[int(ROUNDS * 0.99)]
        print(f"{path:<14} {name:<4}  p50 {p50:5.1f} ms   p99 {p99:5.1f} ms")


if __name__ == "__main__":
    browser = furnish()
    for address in ("/home/popover", "/home/live"):
        measure(browser, address)
