"""What the table refuses, whoever writes it."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError

from mesh.models import Pairing

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "has_user", "expires_at"),
    [
        pytest.param("asked", True, NOON, id="answered, yet still asking"),
        pytest.param("approved", False, NOON, id="approved by nobody"),
        pytest.param("denied", False, NOON, id="denied by nobody"),
        pytest.param("paired", False, None, id="nobody's machine"),
        pytest.param("paired", True, NOON, id="a sign-in that ends with its code"),
        pytest.param("asked", False, None, id="a code for ever"),
        pytest.param("lost", True, NOON, id="no such state"),
    ],
)
def test_the_table_refuses(ada, state, has_user, expires_at):
    with pytest.raises(IntegrityError):
        Pairing.objects.create(state=state, user=ada if has_user else None, expires_at=expires_at)


@pytest.mark.parametrize("field", ["device_code", "user_code"])
def test_a_code_is_of_one_machine(db, field):
    Pairing.objects.create(expires_at=NOON, **{field: "x"})

    with pytest.raises(IntegrityError):
        Pairing.objects.create(expires_at=NOON, **{field: "x"})


def test_a_machine_without_a_name_has_words_for_it(db):
    assert str(Pairing(hostname="mbp")) == "mbp"
    assert str(Pairing()) == "an unnamed machine"
