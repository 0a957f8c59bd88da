"""/dist/: what a new laptop is handed, and the line that says how."""

import hashlib

import pytest

from links.dist.offer import wheel
from mesh.version import VERSION


def test_the_offer(client):
    answer = client.get("/dist/", headers={"host": "localhost:8321"})

    offer = answer.json()
    assert answer.status_code == 200
    assert offer["url"] == f"http://localhost:8321/dist/{wheel().name}"
    proven = f"'{offer['url']}#sha256={offer['sha256']}'"
    link = "~/.deco/localhost-8321/bin/deco link http://localhost:8321"
    assert f"uv pip install -q -p ~/.deco/localhost-8321 {proven} && {link}" in offer["uv"]
    assert offer["pip"].endswith(f"pip install -qU {proven} && {link}")
    assert offer["uvx"] == offer["uv"]  # an older laptop reads this name
    assert (offer["version"], offer["protocol"]["minimum"]) == (VERSION, 1)


def test_the_public_address_is_the_operators(client, settings):
    settings.MESH_URL = "https://mesh.example"

    assert client.get("/dist/").json()["url"].startswith("https://mesh.example/dist/")


def test_the_wheel_is_what_the_offer_says(client):
    offer = client.get("/dist/").json()

    answer = client.get(f"/dist/{wheel().name}")

    assert hashlib.sha256(answer.content).hexdigest() == offer["sha256"]
    assert "immutable" in answer.headers["Cache-Control"]


def test_the_line_alone(client):
    answer = client.get("/dist/command")

    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.content.decode() == client.get("/dist/").json()["uv"] + "\n"


@pytest.mark.parametrize(
    "name", ["mesh_link-0.0.1+00000000-py3-none-any.whl", "other.whl", "..%2Fsettings.py"]
)
def test_another_name_is_not_here(client, name):
    answer = client.get(f"/dist/{name}")

    assert answer.status_code == 404
    assert "Cache-Control" not in answer or "immutable" not in answer.headers["Cache-Control"]


def test_an_old_wheels_name_says_the_new_one(client):
    answer = client.get("/dist/mesh_link-0.0.1+00000000-py3-none-any.whl")

    assert wheel().name in answer.json()["error"]["hint"]


def test_it_only_reads(client):
    assert client.post("/dist/").status_code == 405
