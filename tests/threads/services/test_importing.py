"""import_reference: a reference database's rows, through the rules of its migrations."""

import json

import pytest
from django.core.management import CommandError, call_command

from agents.models import Agent
from mesh.models import Membership, User
from sandboxes.core.vm_map import normalize_vm_map
from sandboxes.models import SandboxRunnerState
from threads.models import Thread

pytestmark = pytest.mark.django_db

OLD = {"vmMap": {"u1": {"main": {"vmId": "main-1", "runnerKind": "agent-sandbox"}}, "u9": {}}}


def block(table, columns, *rows):
    lines = ["\t".join("\\N" if v is None else v.replace("\\", "\\\\") for v in r) for r in rows]
    return "\n".join([f"COPY public.{table} ({', '.join(columns)}) FROM stdin;", *lines, "\\.", ""])


def dump_of(**changes):
    tables = {
        "organization": block("organization", ["id", "slug", "name"], ["o1", "acme", "Acme"]),
        "user": block(
            '"user"', ["id", "email"], ["u1", "ada@mesh.example"], ["u2", "new@mesh.example"]
        ),
        "member": block(
            "member",
            ["id", '"organizationId"', '"userId"', "role"],
            ["m1", "o1", "u1", "owner"],
            ["m2", "o1", "u2", "guest"],
        ),
        "connections": block(
            "connections",
            ["id", "organization_id", "connection_type", "title", "metadata"],
            ["a1", "o1", "VIRTUAL", "Site", json.dumps(OLD)],
            ["a2", "o1", "VIRTUAL", "Broken", "{not json"],
            ["a3", "o1", "VIRTUAL", "Bare", None],
            ["c1", "o1", "HTTP", "Tool", "{}"],
        ),
        "threads": block(
            "threads",
            ["id", "organization_id", "created_by", "virtual_mcp_id", "title", "run_locally"],
            ["t1", "o1", "u1", "a1", "Hello", "t"],
            ["t2", "o1", "u9", "a1", "Of nobody", "f"],
        ),
        "sandbox_runner_state": block(
            "sandbox_runner_state",
            ["user_id", "project_ref", "runner_kind", "handle"],
            ["u1", "p", "host", "main-1"],
            ["u1", "p", "docker", "main-2"],
        ),
        "ai_provider_keys": block(
            "ai_provider_keys",
            ["id", "provider_id"],
            ["k1", "claude-code"],
            ["k2", "codex"],
            ["k3", "openai"],
        ),
    } | changes
    return "\n".join(tables.values())


@pytest.fixture
def load(tmp_path, capsys):
    def load(text=None):
        path = tmp_path / "dump.sql"
        path.write_text(dump_of() if text is None else text)
        call_command("import_reference", str(path))
        return capsys.readouterr().out

    return load


def test_people_agents_and_threads_are_there(load, ada):
    said = load()

    thread = Thread.objects.get()
    assert (thread.owner, thread.title, thread.agent.title) == (ada, "Hello", "Site")
    assert (thread.sandbox_provider_kind, thread.harness_id) == ("", "")
    assert Membership.objects.filter(organization__slug="acme").count() == 2
    assert not User.objects.get(email="new@mesh.example").has_usable_password()
    assert "1 × left out: thread without owner or agent" in said


@pytest.mark.parametrize("name", ["mallory", "New@mesh.example"])
def test_a_stranger_with_an_address_of_another_gets_none_of_it(load, ada, name):
    email = "new@mesh.example" if name == "mallory" else ""
    stranger = User.objects.create_user(name, email, "the stranger's own")

    said = load()

    assert not stranger.memberships.exists()
    assert "1 × left out: user whose address another account has" in said


def test_vm_maps_have_three_levels_our_people_and_one_kind_field(load, ada):
    load()

    metadata = Agent.objects.get(title="Site").metadata
    assert metadata == {
        "vmMap": {
            str(ada.pk): {
                "main": {
                    "agent-sandbox": {"vmId": "main-1", "sandboxProviderKind": "agent-sandbox"}
                }
            }
        }
    }
    assert normalize_vm_map(metadata)


def test_one_broken_row_stops_nothing_and_no_metadata_is_null(load):
    said = load()

    assert [a.metadata for a in Agent.objects.filter(title__in=["Broken", "Bare"])] == [{}, {}]
    assert "1 × left out: metadata that is not JSON" in said


def test_s122_s123_hosts_and_marks_of_clis_are_left_out(load):
    said = load()

    assert [row.handle for row in SandboxRunnerState.objects.all()] == ["main-2"]
    assert "1 × left out: sandbox of the kind host" in said
    assert "2 × left out: mark of an activated CLI" in said
    assert "1 × left out: provider key (enter it again here)" in said


def test_s124_nothing_to_leave_out(load):
    empty = block("ai_provider_keys", ["id", "provider_id"])

    assert "mark of" not in load(dump_of(ai_provider_keys=empty))


def test_loading_twice_adds_nothing(load):
    load()
    before = (Agent.objects.count(), Thread.objects.count(), User.objects.count())

    load()

    assert before == (Agent.objects.count(), Thread.objects.count(), User.objects.count())


def test_a_broken_dump_loads_nothing(load):
    with pytest.raises(CommandError, match="Nothing was imported"):
        load(dump_of() + "COPY public.threads (id) FROM stdin;\nx\n")

    assert not Thread.objects.exists()


def test_a_file_that_is_not_there():
    with pytest.raises(CommandError, match="can't be read"):
        call_command("import_reference", "/nowhere/dump.sql")


def test_an_organization_with_a_reserved_short_name_gets_another():
    from threads.services.importing import _slug

    assert (_slug("Links"), _slug("Acme, Inc.")) == ("links-org", "acme-inc")
