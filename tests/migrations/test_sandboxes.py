"""The reference's 084–087 on our tables: up, down and up again, with odd rows; both databases."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandboxes.core.reference import fix_vm_map
from sandboxes.moving import move_metadata

pytestmark = pytest.mark.thorough

OLD = {"vmId": "v1", "runnerKind": "agent-sandbox"}
NEW = {"vmId": "v1", "sandboxProviderKind": "agent-sandbox"}
BOTH = {"vmId": "v2", "runnerKind": "host", "sandboxProviderKind": "docker"}
BARE = {"vmId": "v3", "startedWith": {"port": "3000"}}
START = "0003_rename_runner_kind_column"
END = "0006_mend_vm_maps"


def of(cell):
    return {"vmMap": {"u": {"main": cell}}, "githubRepo": {"url": "kept"}}


# slug → metadata before, and after 085, 086 and 087
ROWS = {
    "no-map": ({"folder": "/x"}, {"folder": "/x"}),
    "empty-map": ({"vmMap": {}}, {"vmMap": {}}),
    "empty-user": ({"vmMap": {"u": {}}}, {"vmMap": {"u": {}}}),
    "list-map": ({"vmMap": [1, 2]}, {"vmMap": [1, 2]}),
    "null-map": ({"vmMap": None}, {"vmMap": None}),
    "text-user": ({"vmMap": {"u": "x"}}, {"vmMap": {"u": "x"}}),
    "json-null": (None, None),
    "broken-text": ("{not json", "{not json"),
    "list": ([1], [1]),
    "old-key": (of(OLD), of({"agent-sandbox": NEW})),
    "both-keys": (of(BOTH), of({"docker": {"vmId": "v2", "sandboxProviderKind": "docker"}})),
    "kind-less": (of(BARE), of({"docker": BARE})),
    "three": (of({"docker": BARE}), of({"docker": BARE})),
    "three-old": (of({"agent-sandbox": OLD}), of({"agent-sandbox": NEW})),
    "mixed": (of({**OLD, "docker": BARE}), of({"agent-sandbox": NEW, "docker": BARE})),
}


def put(chain, rows):
    org = chain.model("mesh.Organization").objects.create(slug="acme", name="Acme")
    agents = chain.model("agents.Agent").objects
    for slug, metadata in rows.items():
        agent = agents.create(organization=org, slug=slug, title=slug)
        # As text: the ORM would make SQL's NULL of a JSON null.
        with connection.cursor() as cursor:
            placed = "%s::jsonb" if connection.vendor == "postgresql" else "%s"
            cursor.execute(
                f"UPDATE agents_agent SET metadata = {placed} WHERE slug = %s",
                [json.dumps(metadata), slug],
            )
        assert agent.pk


def found(chain):
    return dict(chain.model("agents.Agent").objects.values_list("slug", "metadata"))


def has_null():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM agents_agent WHERE metadata IS NULL")
        return cursor.fetchone()[0] > 0


def test_every_odd_row_comes_out_as_specified(sandboxes):
    put(sandboxes.to(START), {slug: before for slug, (before, _) in ROWS.items()})

    sandboxes.to(END)

    assert found(sandboxes) == {slug: after for slug, (_, after) in ROWS.items()}
    assert not has_null()


@pytest.mark.parametrize(
    "name",
    ["0004_rename_runner_kind_in_vm_maps", "0005_rekey_vm_maps_by_kind", "0006_mend_vm_maps"],
)
def test_a_migration_that_runs_again_changes_nothing(sandboxes, name):
    put(sandboxes.to(START), {slug: before for slug, (before, _) in ROWS.items()})
    before = found(sandboxes.to(name))

    assert found(sandboxes.again(name)) == before


def test_down_collapses_to_two_levels_and_up_finds_them_again(sandboxes):
    put(sandboxes.to(START), {slug: before for slug, (before, _) in ROWS.items()})
    sandboxes.to(END)

    down = found(sandboxes.to(START))
    up = found(sandboxes.to(END))

    assert down["old-key"] == of(OLD)
    assert down["mixed"] == of({**BARE, "runnerKind": "docker"})  # the first kind stays
    assert up["old-key"] == of({"agent-sandbox": NEW})
    assert {slug: up[slug] for slug in ("list-map", "json-null", "broken-text")} == {
        slug: ROWS[slug][1] for slug in ("list-map", "json-null", "broken-text")
    }
    assert not has_null()


def test_a_table_of_several_batches_is_moved_whole(sandboxes):
    put(sandboxes.to(START), {f"a-{n}": of(OLD) for n in range(8)})

    with connection.schema_editor() as editor:
        move_metadata(fix_vm_map, batch=3)(sandboxes.apps, editor)

    assert set(map(json.dumps, found(sandboxes).values())) == {
        json.dumps(of({"agent-sandbox": NEW}))
    }


def test_only_rows_that_need_it_are_written(sandboxes):
    put(sandboxes.to(START), {slug: before for slug, (before, _) in ROWS.items()})
    sandboxes.to(END)
    with CaptureQueriesContext(connection) as queries, connection.schema_editor() as editor:
        move_metadata(fix_vm_map)(sandboxes.apps, editor)

    assert not [q for q in queries if q["sql"].startswith("UPDATE")]


def states(chain, *kinds):
    user = chain.model("mesh.User").objects.create(username="ada")
    for kind in kinds:
        chain.model("sandboxes.SandboxRunnerState").objects.create(
            user_id=user.pk, project_ref="o:a:main", runner_kind=kind, handle=f"main-{kind}"
        )


def test_084_drops_the_rows_of_hosts_and_no_others(sandboxes):
    states(sandboxes.to("0001_create_runner_states"), "host", "docker", "agent-sandbox")

    sandboxes.to("0002_drop_host_sandboxes")

    rows = sandboxes.model("sandboxes.SandboxRunnerState").objects
    assert set(rows.values_list("runner_kind", flat=True)) == {"docker", "agent-sandbox"}


def test_085_the_column_keeps_its_values_under_the_new_name_and_back(sandboxes):
    states(sandboxes.to("0002_drop_host_sandboxes"), "docker")

    rows = sandboxes.to(END).model("sandboxes.SandboxRunnerState").objects
    assert [row.sandbox_provider_kind for row in rows.all()] == ["docker"]

    rows = sandboxes.to("0001_create_runner_states").model("sandboxes.SandboxRunnerState").objects
    assert [row.runner_kind for row in rows.all()] == ["docker"]
