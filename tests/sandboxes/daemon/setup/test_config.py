"""The configuration over the real socket (D-SB3), and its transitions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.base import BadInput
from sandboxes.daemon.setup.config import (
    Config,
    Immutable,
    identity_of,
    merge,
    parse_change,
    shown,
    transition,
    view,
    without_credentials,
)
from tests.sandboxes.daemon.projects import config, node_project, repository

pytestmark = pytest.mark.programs

URL = "https://git.example/acme/app"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "no-op"),
        ({"branch": "other"}, "branch-change"),
        ({"branch": "other", "port": 1}, "branch-change"),
        ({"runtime": "bun", "manager": "bun"}, "runtime-change"),
        ({"manager": "pnpm"}, "pm-change"),
        ({"path": "apps/web"}, "pm-change"),
        ({"port": 4000, "env": {"A": "1"}}, "port-change"),
        ({"env": {"A": "1"}}, "env-change"),
        ({"clone_url": "https://ada:secret@git.example/acme/app.git"}, "no-op"),
        ({"user_name": "Ada"}, "no-op"),
    ],
)
def test_what_a_change_amounts_to(change, kind):
    old = {"clone_url": URL, "branch": "main", "manager": "npm", "port": 3000}

    assert transition(Config(**old), Config(**(old | change))) == kind


def test_the_first_is_a_bootstrap():
    assert transition(None, Config()) == "bootstrap"
    assert transition(Config(), Config(clone_url=URL)) == "bootstrap"


@pytest.mark.parametrize("other", [f"{URL}2", "https://evil.example/acme/app", "/acme/app"])
def test_another_repository_is_refused(other):
    with pytest.raises(Immutable):
        transition(Config(clone_url=URL), Config(clone_url=other))
    with pytest.raises(Immutable):
        transition(None, Config(clone_url=other), cloned_from=URL)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example/a/b",
        "https://token@git.example/a/b.git",
        "https://ada:secret@git.example/a/b/",
    ],
)
def test_one_repository_has_one_identity(url):
    assert identity_of(url) == "git.example/a/b"
    assert "secret" not in without_credentials(url)


def test_a_change_is_laid_over_what_is_known():
    known = {"git": {"repository": {"cloneUrl": "u", "branch": "b"}}, "env": {"A": "1", "B": "2"}}
    change = {"git": {"repository": {"branch": "c"}}, "env": {"A": None, "C": "3"}}

    merged = merge(known, change)

    assert merged["git"]["repository"] == {"cloneUrl": "u", "branch": "c"}
    assert merged["env"] == {"B": "2", "C": "3"}
    assert known["env"] == {"A": "1", "B": "2"}


def test_what_is_shown_has_no_secret():
    known = {"git": {"repository": {"cloneUrl": "https://a:s3cret@h/x"}}, "env": {"KEY": "s3cret"}}

    assert "s3cret" not in json.dumps(shown(known))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.dictionaries(
        st.sampled_from(["git", "repository", "application", "env", "port", "packageManager", "x"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)


@given(value=st.dictionaries(st.sampled_from(["git", "application", "env", "x"]), json_values))
def test_whatever_comes_is_taken_or_refused(value):
    try:
        change = parse_change(value)
    except BadInput:
        return
    assert isinstance(view(merge({}, change)), Config)


async def test_a_fresh_one_knows_nothing(make_sandbox):  # D-SB3, D-SB1
    sandbox = make_sandbox()

    known = (await sandbox.get("/config")).json()

    assert known.pop("bootId") == sandbox.facts["bootId"]
    assert known == {
        "config": None,
        "envKeys": [],
        "phases": [],
        "ready": False,
        "orchestrator": {"running": False, "pending": 0},
    }
    assert (await sandbox.get("/scripts")).json() == {"scripts": []}
    health = (await sandbox.get("/health")).json()
    assert (health["configured"], health["ready"]) == (False, False)


async def test_the_first_and_another_repository(make_sandbox, tmp_path):  # D-SB3
    sandbox = make_sandbox()
    url = repository(tmp_path / "origin", node_project())
    first = config(url) | {"env": {"B": "secret", "A": "secret"}}

    answer = (await sandbox.post("/config", first)).json()
    other = await sandbox.post("/config", config(f"{url}-other"))
    known = await sandbox.get("/config")

    assert answer["transition"] == "bootstrap"
    assert (other.status_code, other.json()["error"]["code"]) == (409, "immutable")
    assert known.json()["envKeys"] == ["A", "B"]
    assert "secret" not in known.text + json.dumps(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b"[]",
        b'{"git": []}',
        b'{"git": {"repository": {"cloneUrl": 7}}}',
        b'{"application": {"port": 0}}',
        b'{"application": {"port": "x"}}',
        b'{"application": {"runtime": "cobol"}}',
        b'{"application": {"packageManager": {"name": "apt"}}}',
        b'{"application": {"packageManager": {"path": "../x"}}}',
        b'{"env": {"A B": "x"}}',
        b'{"env": {"A": 7}}',
        b'{"auth": {"rotateToken": "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"}}',
    ],
)
async def test_refusals(sandbox, body):  # D-SB3
    reply = await sandbox.client.post("/config", content=body)

    assert reply.status_code == 400
    assert reply.json()["error"]["code"] in ("bad_input", "bad_json")
    assert (await sandbox.get("/config")).json()["config"] is None


@pytest.mark.parametrize("step", ["clone", "install", "start"])
async def test_steps_before_a_configuration(sandbox, step):  # D-SB8
    reply = await sandbox.post(f"/setup/{step}", {})

    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "not_configured")
    assert (await sandbox.post("/setup/cook", {})).status_code == 400


async def test_scripts_before_a_configuration(sandbox):  # D-SB8
    reply = await sandbox.post("/exec/test", {})

    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "not_configured")
    assert "POST /config first" in reply.json()["error"]["message"]


@pytest.mark.parametrize("name", ["%", "%zz", "%ff", "a%2"])
async def test_a_script_s_name_badly_encoded(sandbox, name):
    reply = await sandbox.client.post(f"http://sandbox/_sandbox/exec/{name}")

    assert reply.status_code == 400
