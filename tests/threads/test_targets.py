"""Where a pinned thread's sandbox is: what its agent's metadata means to the machine."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from agents.models import Agent
from links.errors import LinkUnavailable
from links.models import Link
from threads.errors import AgentHasNoFiles, FolderElsewhere
from threads.models import Thread
from threads.targets import Wish, choose_pins, place_of


@pytest.mark.parametrize(
    ("metadata", "repo"),
    [
        pytest.param({}, None, id="no source"),
        pytest.param(
            {"githubRepo": {"url": "https://github.com/acme/app", "owner": "acme"}},
            {"cloneUrl": "https://github.com/acme/app"},
            id="a repository",
        ),
        pytest.param({"githubRepo": None}, None, id="null"),
        pytest.param({"githubRepo": {"url": ""}}, None, id="no address"),
        pytest.param({"githubRepo": {"url": 7}}, None, id="no text"),
        pytest.param({"githubRepo": "https://github.com/acme/app"}, None, id="no object"),
    ],
)
def test_only_a_source_with_an_address_is_cloned(metadata, repo):
    thread = Thread(
        owner_id=1,
        organization_id=uuid4(),
        link_id=uuid4(),
        agent=Agent(metadata=metadata),
        branch="main",
        sandbox_provider_kind="remote-user",
    )

    assert place_of(thread).repo == repo


def pins(thread, **wish):
    return choose_pins(thread=thread, wish=Wish(**wish), tier="smart")[0]


def of(agent, **fields):
    for name, value in fields.items():
        setattr(agent, name, value)
    agent.save()


def test_without_a_wish_the_agents_own_choice_is_pinned(thread, agent, link):
    of(thread.agent, default_choice="demo:fast")

    assert pins(thread).harness_id == "demo"
    assert pins(thread, harness_id="claude-code").harness_id == "claude-code"


def test_a_program_on_a_machine_can_do_nothing_for_an_agent_without_files(thread, link):
    of(thread.agent, metadata={"files": "none"})

    with pytest.raises(AgentHasNoFiles):
        pins(thread, harness_id="claude-code")


@pytest.mark.parametrize("wished", [False, True])
def test_a_folder_pins_the_machine_that_has_it(thread, ada, link, wished):
    other = Link.objects.create(
        user=ada, machine_id="m2", cli_version="1", protocol_version=1, seen_at=timezone.now()
    )
    of(thread.agent, metadata={"folder": "/code", "folderLink": str(link.pk)})

    assert pins(thread, link_id=link.pk if wished else None).link_id == link.pk
    with pytest.raises(FolderElsewhere):
        pins(thread, link_id=other.pk)


def test_a_folder_on_another_persons_machine_is_no_target(thread, eve, link):
    of(thread.agent, metadata={"folder": "/code", "folderLink": str(link.pk)})
    Link.objects.filter(pk=link.pk).update(user=eve)

    with pytest.raises(LinkUnavailable):
        pins(thread, harness_id="claude-code")


def test_the_machine_that_is_wished_is_pinned(thread, ada, link):
    other = Link.objects.create(
        user=ada,
        machine_id="m2",
        cli_version="1",
        protocol_version=1,
        capabilities=["claude-code"],
        offline_after=timezone.now() + timedelta(minutes=5),
        seen_at=timezone.now(),
    )

    assert {pins(thread, link_id=each.pk).link_id for each in (link, other)} == {link.pk, other.pk}


@pytest.fixture
def others(ada, link):
    """Machines that were seen after Ada's laptop: one with Codex, and one with Claude Code that is
    away now."""
    common = {"user": ada, "cli_version": "1", "protocol_version": 1}
    for name, capability, minutes in (("codex", "codex", 5), ("away", "claude-code", -1)):
        Link.objects.create(
            **common,
            machine_id=name,
            capabilities=[capability],
            offline_after=timezone.now() + timedelta(minutes=minutes),
            seen_at=timezone.now() + timedelta(minutes=1),
        )


@pytest.mark.parametrize(
    ("default", "wished", "machine"),
    [
        pytest.param("", "claude-code", "m1", id="online with the agent"),
        pytest.param("", "codex", "codex", id="the other one"),
        pytest.param("claude-code:smart", "", "m1", id="with the agent's own choice"),
        pytest.param("codex:smart", "claude-code", "m1", id="a wish before the agent's own"),
        pytest.param("", "demo", "codex", id="any that is online, where none is needed"),
    ],
)
def test_without_a_machine_it_goes_to_one_that_has_the_agent(
    thread, others, default, wished, machine
):
    of(thread.agent, default_choice=default)

    assert Link.objects.get(pk=pins(thread, harness_id=wished).link_id).machine_id == machine


def test_where_none_has_the_agent_the_refusal_names_one_that_is_online(thread, others):
    with pytest.raises(LinkUnavailable) as refused:
        pins(thread, harness_id="acp:gemini")

    assert refused.value.extra["machine"] == "codex"


def test_decopilot_answers_without_a_machine_and_takes_one_that_comes(thread, link, key):
    Link.objects.update(offline_after=timezone.now() - timedelta(minutes=1))
    first, executor = choose_pins(thread=thread, wish=Wish(harness_id="decopilot"), tier="smart")
    assert (first.sandbox_provider_kind, first.link_id, executor) == ("", None, "server")

    thread.harness_id = "decopilot"
    Link.objects.update(offline_after=timezone.now() + timedelta(minutes=1))
    second, executor = choose_pins(thread=thread, wish=Wish(), tier="smart")
    assert (second.sandbox_provider_kind, second.link_id, executor) == (
        "remote-user",
        link.pk,
        "server",
    )


def test_decopilot_on_a_machine_that_was_named_waits_for_it(thread, link, key):
    Link.objects.update(offline_after=timezone.now() - timedelta(minutes=1))
    with pytest.raises(LinkUnavailable):
        pins(thread, harness_id="decopilot", link_id=link.pk)
