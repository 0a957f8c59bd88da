"""Facts that stand in two places because no module can be imported by both: held together here."""

import re
from pathlib import Path

import pytest

from agents.harness.decopilot.tools import TOOLS
from links import checks, sign_ins, upkeep
from links.daemon import probe
from links.daemon.config import PORT
from links.daemon.doctor.server import NOT_BUFFERED
from links.wire import nonces, signing
from links.wire.messages import needed_for
from mesh import connection_checks
from sandboxes.daemon import events, journal, streams
from sandboxes.daemon.tasks import task
from sandboxes.preview import app as preview
from sandboxes.preview.request import NOT_SIGNED_IN
from sandboxes.providers import direct, sandbox_client
from threads.core import attachments, pictures
from threads.core.run_errors import REFUSED
from threads.decopilot import provider, shell
from threads.reading import consumers

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "mesh/static/mesh"


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def constant(script, name):
    """Return a number that a module of the pages declares."""
    found = re.search(rf"^const {name} = ([0-9_]+);", text(f"mesh/static/mesh/{script}"), re.M)
    return int(found[1].replace("_", ""))


@pytest.mark.parametrize("said_every", [streams.PING_EVERY, events.REPEAT_EVERY])
def test_the_server_waits_for_two_signs_of_life_of_a_sandbox_s_stream(said_every):
    assert 2 * said_every < sandbox_client.SILENCE_LIMIT


def test_a_stream_of_the_doctor_stays_open_longer_than_it_waits_for_the_event():
    assert checks.HELD_OPEN > NOT_BUFFERED


def test_a_nonce_is_remembered_for_as_long_as_its_request_is_good():
    assert nonces.KEEP > 2 * signing.MAX_DRIFT + 1


@pytest.mark.parametrize("look_every", [sign_ins.LOOK_EVERY, connection_checks.LOOK_EVERY])
def test_who_lost_a_right_is_gone_within_five_seconds(look_every):
    assert look_every + upkeep.EVERY <= 5


def test_a_preview_takes_what_can_be_signed():
    assert preview.BODY_LIMIT == signing.MAX_BODY


def test_what_was_stopped_can_be_started_as_late_in_either_kind_of_run():
    assert provider.TOMBSTONE == journal.TOMBSTONE


def test_a_command_has_ended_when_decopilot_no_longer_waits():
    assert shell.KILL_LIMIT > task.TERM_GRACE


def test_the_model_is_told_the_times_that_count():
    said = str(TOOLS["bash"])

    assert f"{shell.DEFAULT_MS} unless given" in said
    assert f"{shell.MAX_MS} at most" in said


def test_a_browser_that_is_signed_out_is_told_in_one_way():
    assert consumers.NOT_SIGNED_IN == NOT_SIGNED_IN
    assert constant("socket.js", "SIGNED_OUT") == consumers.NOT_SIGNED_IN


def test_the_page_marks_what_the_server_leaves_out():
    script = text("mesh/static/mesh/chat.js")

    assert all(f'"{code}"' in script for code in REFUSED)


def test_the_page_offers_to_send_what_the_server_takes():
    assert constant("attach.js", "MOST") == attachments.MOST
    assert constant("attach.js", "HEAVY") < pictures.BYTES
    assert constant("attach.js", "LONGEST") == pictures.SIDE


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("docs/link.md", f"default: {PORT}"),
        ("docs/link.md", f"at most {signing.MAX_DRIFT} s apart"),
        ("docs/sandbox.md", f"`timestamp_drift` ({signing.MAX_DRIFT} s)"),
        ("docs/sandbox.md", f"Repeated each {events.REPEAT_EVERY:g} s"),
        ("docs/sandbox-kinds.md", f'"0.0.0.0:{direct.PORT}"'),
        ("docs/sandbox-kinds.md", f"containerPort: {direct.PORT}"),
    ],
)
def test_the_manual_names_the_number_that_counts(path, words):
    assert words in text(path)


def test_a_container_listens_where_it_is_looked_for():
    [port] = re.findall(r"^EXPOSE (\d+)$", text("Dockerfile"), re.M)

    assert f'"mesh.health", "{port}"' in text("Dockerfile")
    assert f'"--port", "{port}"' in text("Dockerfile")
    assert re.findall(r"PORT_[AB]:-\d+}:(\d+)", text("compose.yaml")) == [port, port]


def test_a_machine_without_agents_can_do_what_decopilot_needs_of_it():
    assert (needed_for("decopilot"),) == probe.BASE
