"""What there is to do for a process, and what a harness is told of a run."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agents.core.mcp import McpServer
from agents.services import put_mcp_server
from threads import services
from threads.models import Run, Thread
from threads.serving.orders import WorkScope, list_work
from threads.serving.turn_input import harness_input

LINEAR = McpServer("linear", "https://mcp.example/mcp", {"Authorization": "Bearer hunter2"})
PLAIN = McpServer("plain", "https://plain.example/mcp")


def test_a_harness_is_told_the_agents_mcp_servers(say, agent, settings):
    settings.MESH_URL = ""  # nobody could reach a gateway here
    for server in (LINEAR, PLAIN):
        put_mcp_server(agent=agent, server=server)

    assert harness_input(say())["virtualMcp"]["mcpServers"] == [
        {
            "name": "linear",
            "url": "https://mcp.example/mcp",
            "headers": {"Authorization": "Bearer hunter2"},
        },
        {"name": "plain", "url": "https://plain.example/mcp"},
    ]


def test_a_process_is_given_no_more_than_it_has_room_for(served, say, ada, org, agent):
    """Some are to be taken over, and some started; the capacity is that for both."""
    pins = {"sandbox_provider_kind": "docker", "harness_id": "demo", "branch": "main"}
    for place in range(4):
        thread = services.create_thread(owner=ada, organization=org, agent=agent)
        Thread.objects.filter(pk=thread.pk).update(**pins)
        run = say(to=Thread.objects.get(pk=thread.pk))
        if place < 2:
            services.claim_run(run_id=run.pk, node="lost")
    services.release_leases()

    work = list_work(WorkScope(node="A", executors=["server"], links=[], capacity=2))

    assert [job.how for job in work.jobs] == ["take over", "take over"]


NOW = timezone.now()


@pytest.mark.parametrize(
    ("retry_at", "is_due"),
    [
        pytest.param(None, True, id="it does not rest"),
        pytest.param(NOW - timedelta(seconds=1), True, id="it has rested"),
        pytest.param(NOW + timedelta(hours=1), False, id="it rests"),
    ],
)
def test_what_rests_is_left_alone_until_its_time(say, link, retry_at, is_due):
    run = say()
    services.claim_run(run_id=run.pk)
    Run.objects.update(retry_at=retry_at, resting_since=NOW)

    work = list_work(WorkScope(node="A", executors=["link"], links=[link.pk]))

    assert [job.run_id for job in work.jobs] == [run.pk] * is_due


@pytest.mark.parametrize(
    ("minutes", "goes_out"),
    [
        pytest.param(None, False, id="it was not tried yet"),
        pytest.param(0.5, False, id="it is tried"),
        pytest.param(2, True, id="tried in vain for long"),
    ],
)
def test_a_stop_that_can_not_be_delivered_holds_up_the_next_message_for_a_minute(
    say, link, minutes, goes_out
):
    given_up, after = say(), say("and now?")
    services.claim_run(run_id=given_up.pk)
    services.finish_run(run_id=given_up.pk, state="failed", code="stuck")
    since = minutes and timezone.now() - timedelta(minutes=minutes)
    Run.objects.filter(pk=given_up.pk).update(resting_since=since)

    work = list_work(WorkScope(node="A", executors=["link"], links=[link.pk]))

    assert [job.run_id for job in work.jobs] == [after.pk] * goes_out


def test_their_secrets_stand_in_no_event(say, agent, chunks, thread):
    put_mcp_server(agent=agent, server=LINEAR)
    say()

    assert "hunter2" not in str(chunks(thread))
