"""A column of a machine is shown, or is listed here as one that is not."""

from dataclasses import fields
from datetime import UTC, datetime
from uuid import uuid4

from links.admin import _SHOWN
from links.models import Link
from links.selectors import LinkView, link_as_json

# Of the row: secrets, addresses, and what the server alone works with.
NOT_FOR_PEOPLE = {
    *("id", "secret", "secret_hash", "tunnel_url", "node", "node_address", "connection_id"),
    *("offline_after", "last_silence", "registered_with", "revoked_at", "user", "installation"),
}
IN_ANOTHER_FORM = {"hostname": "name"}
NOT_IN_ADMIN = {
    *("id", "secret", "secret_hash", "tunnel_url", "node_address", "connection_id"),
    *("offline_after", "last_silence", "registered_with", "cause", "installation"),
}
# Of the view: what neither programs nor open pages are told.
NOT_TOLD = {"protocol_version", "created_at", "seen_at"}
VIEW = LinkView(
    id=uuid4(),
    name="walnut",
    machine_id="m",
    state="online",
    cause="",
    capabilities=("codex",),
    harnesses={},
    cli_version="1",
    protocol_version=2,
    created_at=datetime(2026, 1, 5, tzinfo=UTC),
    seen_at=None,
)


def columns():
    return {field.name for field in Link._meta.get_fields() if field.concrete}


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def test_every_column_is_part_of_the_view():
    shown = {IN_ANOTHER_FORM.get(name, name) for name in columns() - NOT_FOR_PEOPLE}

    assert shown <= {field.name for field in fields(LinkView)}


def test_every_column_is_in_the_admin():
    assert columns() - set(_SHOWN) == NOT_IN_ADMIN


def test_every_field_of_the_view_is_told():
    told = {field.name for field in fields(LinkView)} - NOT_TOLD

    assert link_as_json(VIEW).keys() == {camel(name) for name in told}
