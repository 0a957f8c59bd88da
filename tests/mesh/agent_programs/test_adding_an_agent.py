"""One entry in the table is all that a new ACP agent needs: a parrot, which Mesh never heard of."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from django.template.loader import render_to_string

from agents.catalog import load_catalog, load_runnable
from agents.core.options import default_harness
from agents.harness import with_agents
from agents.harness.base import Done, Emit, Write
from links.daemon import probe
from links.daemon.named_agents import read_agents
from mesh.agent_programs import load, table
from mesh.models import Organization
from sandboxes.daemon.conversation import Conversation, ProjectRunsPrograms
from sandboxes.daemon.journal import Journal
from tests.agents.test_context import context, link
from tests.harness.driver import turn
from tests.waiting import PATIENCE

PARROT = Path(__file__).parents[2] / "harness/parrot.py"
KIND = "acp:parrot"
ENTRY = """
[[agents]]
kind = "acp:parrot"
title = "Parrot"
needs = "capability"
sign_in = "Run parrot login {where}."

[[agents.tiers]]
key = "smart"
label = "Polly"
description = "Says it again"
icon = "sparkles"
model_id = "acp:parrot:polly-2"

[agents.program]
name = "parrot"
npm = "@birds/parrot"
npm_version = "1.0.0"
folders = ["~/.parrot/bin"]
environment = ["PARROT_*"]
withheld = ["PARROT_SESSION"]

[agents.program.probe]
ask = ["--version"]
judge = "starts"
signed_in_variables = ["PARROT_API_KEY"]

[agents.program.acp]
arguments = ["--stdio"]
model_flag = "--model"
careful = { PARROT_MAY = { "*" = "ask" } }
runs_unasked = [".parrot/*"]
"""
CACHES = (load, load_catalog, load_runnable)


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Return ``add(entry)``, which writes one more entry into the table."""

    def write(entry=ENTRY):
        path = tmp_path / "catalog.toml"
        path.write_text(table.PATH.read_text() + entry)
        monkeypatch.setattr(table, "PATH", path)
        forget()

    def forget():
        for cache in CACHES:
            cache.cache_clear()

    yield write
    monkeypatch.undo()
    forget()


@pytest.fixture
def parrot(add, tmp_path, monkeypatch):
    """The entry is there, and so is the program, where its own installer puts it."""
    add()
    program = tmp_path / "home/.parrot/bin/parrot"
    program.parent.mkdir(parents=True)
    version = '[ "$1" = --version ] && echo 1.0.0 && exit'
    program.write_text(f'#!/bin/sh\n{version}\nexec {sys.executable} {PARROT} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PARROT_API_KEY", "parrots-own")
    monkeypatch.setenv("PARROT_SESSION", "of-another")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "anothers")
    monkeypatch.setenv("GEMINI_API_KEY", "anothers")


async def test_it_is_probed(parrot):
    found = await probe.look(probes=probe.probes_for())

    assert KIND in found.capabilities
    assert found.harnesses[KIND]["version"] == "1.0.0"


async def test_its_sign_in_is_looked_for(parrot, monkeypatch):
    monkeypatch.delenv("PARROT_API_KEY")

    report = (await probe.look(probes=probe.probes_for())).harnesses[KIND]

    assert (report["state"], report["detail"]) == (
        "not_signed_in",
        "Run parrot login on this machine.",
    )


def test_nobody_can_give_its_name_to_another_program(add):
    assert read_agents(["parrot=other"])[0].kind == KIND

    add()
    with pytest.raises(ValueError, match="an agent of this name exists"):
        read_agents(["parrot=other"])


def popover(*links):
    made = {"chat": context(*links), "organization": Organization(slug="home", name="Home")}
    return render_to_string("_partials/agents.html", made)


def test_it_is_offered_where_a_machine_has_it(add):
    add()
    here = link(capabilities=("decopilot-sandbox", KIND))

    html = popover(here)

    assert context(here).find(KIND).state == "enabled"
    assert f'value="{KIND}:smart"' in html
    assert default_harness(here.capabilities) == KIND


@pytest.mark.parametrize(
    ("icon", "symbol"),
    [
        pytest.param("", "laptop", id="the default"),
        pytest.param('icon = "zap"\n', "zap", id="its own"),
    ],
)
def test_it_has_an_icon(add, icon, symbol):
    add(ENTRY.replace('title = "Parrot"\n', f'title = "Parrot"\n{icon}'))

    section = popover(link()).partition(f'id="agent-{KIND}"')[2].partition("</legend>")[0]

    assert f"#i-{symbol}" in section


def test_where_it_is_missing_the_page_says_how_to_install_it(add):
    add()
    here = link(harnesses={KIND: {"state": "absent", "version": "", "detail": ""}})

    assert context(here).find(KIND).action == "Install it there: npm install -g @birds/parrot"


def test_an_older_machine_that_does_not_look_for_it_is_to_be_updated(add):
    add()

    section = context(link()).find(KIND)

    assert (section.state, "too old" in section.reason) == ("unavailable", True)


class Turn:
    """Carries out what the adapter wants done, as a run of the sandbox does."""

    def __init__(self, conversation):
        self.conversation, self.text = conversation, ""
        self.over = asyncio.get_running_loop().create_future()

    def apply(self, outs):
        for out in outs:
            if isinstance(out, Write):
                self.conversation.write(out.line)
            elif isinstance(out, Emit):
                self.text += out.chunk.get("delta", "")
            elif isinstance(out, Done):
                self.over.set_result(self.text)

    def crash(self, error):
        self.over.set_exception(error)

    def begin_anew(self):
        return False


@pytest.fixture
async def say(parrot, tmp_path):
    """Return ``say(**changes)``: a turn at which the parrot says how it was started."""
    journal = Journal(tmp_path / "journal.db")
    folder = tmp_path / "work"
    folder.mkdir()
    conversation = Conversation(
        thread_id="t",
        harness=KIND,
        make_adapter=with_agents({})[KIND],
        cwd=folder,
        journal=journal,
        mark="parrot.1",
    )

    async def said(**changes):
        given = turn("Hello", models={"thinking": {"id": "acp:parrot:polly-2"}}, **changes)
        conversation.start(given)
        conversation.turn = Turn(conversation)
        conversation.turn.apply(conversation.adapter.begin(given))
        async with asyncio.timeout(PATIENCE):
            return json.loads(await conversation.turn.over)

    yield said
    await conversation.end()
    journal.close()


async def test_it_is_started_with_its_own_key_and_nobody_else_s(say):
    env = (await say())["env"]

    assert env["PARROT_API_KEY"] == "parrots-own"
    assert not {"ANTHROPIC_API_KEY", "GEMINI_API_KEY", "PARROT_SESSION"} & env.keys()


async def test_it_is_started_with_its_arguments_and_the_tier_s_model(say):
    assert (await say())["argv"] == ["--stdio", "--model", "polly-2"]


@pytest.mark.parametrize(
    ("level", "may"), [("auto", None), ("readonly", '{"*": "ask"}')], ids=["auto", "readonly"]
)
async def test_an_agent_is_started_so_that_it_asks_unless_it_need_not(say, level, may):
    assert (await say(toolApprovalLevel=level))["env"].get("PARROT_MAY") == may


async def test_it_is_not_started_where_a_project_would_have_it_run_things(say, tmp_path):
    (tmp_path / "work/.parrot").mkdir()
    (tmp_path / "work/.parrot/plugin.js").write_text("")

    with pytest.raises(ProjectRunsPrograms):
        await say(toolApprovalLevel="readonly")
